from messaging.viewsets.batches import BatchViewSet
from messaging.viewsets.messages import MessageViewSet
from messaging.viewsets.sending import EmailViewSet
from messaging.viewsets.suppressions import SuppressionViewSet

__all__ = ["BatchViewSet", "EmailViewSet", "MessageViewSet", "SuppressionViewSet"]
