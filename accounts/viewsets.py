from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from accounts import token_guard
from accounts.authentication import issue_token
from accounts.keys import authenticate_key
from accounts.networks import client_address
from accounts.serializers import TokenRequest, TokenResponse


class TokenViewSet(ViewSet):
    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="create_token",
        summary="Get a token",
        description="Exchange an API key and its secret for a bearer token. Keep the token and use "
        "it until it is about to expire.",
        request=TokenRequest,
        responses={200: TokenResponse},
        auth=[],
        tags=["auth"],
        examples=[
            OpenApiExample(
                "A key and its secret",
                value={"api_key": "YOUR_API_KEY", "api_secret": "YOUR_API_SECRET"},
                request_only=True,
            )
        ],
    )
    def create(self, request: Request) -> Response:
        asked = TokenRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        key_id, address = asked.validated_data["api_key"], client_address(request.META)
        token_guard.enter(key_id, address)
        key = authenticate_key(
            key_id=key_id,
            secret=asked.validated_data["api_secret"],
            address=address,
            now=timezone.now(),
        )
        token_guard.succeed(key_id, address)
        answer = {
            "access_token": issue_token(key),
            "token_type": "Bearer",
            "expires_in": settings.TOKEN_LIFETIME_MINUTES * 60,
        }
        return Response(TokenResponse(answer).data, headers={"Cache-Control": "no-store"})
