"""OpenAI's image generation."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, ClassVar

import orjson

from providers.ai.openai import refined_by_code
from providers.base import GeneratedImage, ImageRequest, Limits
from providers.http import HttpClient, Response, Told, ceilings

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


class OpenAIImages:
    """One image per call, as base64 in the answer: the newer models give no URL."""

    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = True
    names_limits: ClassVar[bool] = True

    def __init__(
        self, *, alias: str, base_url: str, key: str, model: str, limits: Limits, uses_sandbox: bool = False
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox
        self.told = Told(ceilings.of_openai)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = HttpClient(alias, base_url, headers=headers, refine=refined_by_code, told=self.told)

    def generate(self, request: ImageRequest) -> GeneratedImage:
        """Make the call. Raises :class:`ProviderError`."""
        body: dict[str, Any] = {"model": request.model or self.model, "prompt": request.prompt, "n": 1}
        for name in ("size", "quality", "background", "output_format"):
            if (value := getattr(request, name)) is not None:
                body[name] = value
        response = self._http.post(
            "/images/generations",
            orjson.dumps(body),
            headers={"X-Client-Request-Id": request.reference},
            timeout_seconds=request.timeout_seconds,
        )
        return self._image(response)

    def _image(self, response: Response) -> GeneratedImage:
        try:
            answer = response.parsed
            image, usage = answer["data"][0], answer.get("usage") or {}
            return GeneratedImage(
                data=b64decode(image["b64_json"], validate=True),
                media_type=MEDIA_TYPES[answer.get("output_format") or "png"],
                revised_prompt=str(image.get("revised_prompt") or ""),
                input_tokens=int(usage.get("input_tokens") or 0),
                output_tokens=int(usage.get("output_tokens") or 0),
                request_id=response.request_id,
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, binascii.Error):
            raise self._http.invalid_response(response, "a body that holds no image") from None
