from messaging.viewsets.messages import MessageViewSet
from messaging.viewsets.sending import EmailViewSet

__all__ = ["EmailViewSet", "MessageViewSet"]
