from messaging.viewsets.batches import BatchViewSet
from messaging.viewsets.messages import MessageViewSet
from messaging.viewsets.sending import EmailViewSet

__all__ = ["BatchViewSet", "EmailViewSet", "MessageViewSet"]
