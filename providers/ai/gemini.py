"""Google's Gemini, by generateContent."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from providers.ai.batches.gemini import GeminiBatches
from providers.ai.chat import Ending, Reading, place, tokens
from providers.base import ChatRequest, Image
from providers.http import Ceilings, Verdict, ceilings, refined, wait_of

COMPLETE = frozenset({"STOP", "FINISH_REASON_UNSPECIFIED"})
REFUSED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE", "IMAGE_RECITATION"}
)


class Gemini(GeminiBatches):
    """Chat with vision and structured output, one at a time or in batches.

    The base URL ends with the version of the API, such as ``/v1beta``.
    """

    names_limits: ClassVar[bool] = False

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-goog-api-key": key}

    def path(self, model: str) -> str:
        return f"/models/{quote(model, safe='')}:generateContent"

    def body(self, request: ChatRequest, model: str) -> dict[str, Any]:
        photos = [_image_part(image, number) for number, image in enumerate(request.images)]
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [*photos, {"text": request.prompt}]}]}
        if request.system_prompt:
            body["systemInstruction"] = {"parts": [{"text": request.system_prompt}]}
        settings: dict[str, Any] = {}
        if request.max_output_tokens is not None:
            settings["maxOutputTokens"] = request.max_output_tokens
        if request.schema is not None:
            settings |= {"responseMimeType": "application/json", "responseJsonSchema": request.schema}
        if settings:
            body["generationConfig"] = settings
        return body

    def ceilings(self, headers: Mapping[str, str]) -> Ceilings:
        return ceilings.of_nobody(headers)

    def read(self, answer: Any) -> Reading:
        usage = answer.get("usageMetadata")
        text, ending = _spoken(answer)
        return Reading(
            text=text,
            ending=ending,
            model=answer.get("modelVersion"),
            input_tokens=tokens(usage, "promptTokenCount"),
            output_tokens=tokens(usage, "candidatesTokenCount", "thoughtsTokenCount"),
        )

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        if isinstance(body, list) and body:  # sometimes the error comes in a list of one
            body = body[0]
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return verdict
        return replace(refined(verdict, error.get("status")), retry_after=_asked_to_wait(error.get("details")))


def _spoken(answer: Any) -> tuple[str, Ending]:
    """The text without the model's thoughts; a question that was blocked has no candidate."""
    if not answer.get("candidates"):
        if (answer.get("promptFeedback") or {}).get("blockReason"):
            return "", Ending.REFUSED
        raise KeyError("candidates")
    candidate = answer["candidates"][0]
    reason = candidate.get("finishReason") or "STOP"
    parts = (candidate.get("content") or {}).get("parts") or []
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    if reason in REFUSED:
        return text, Ending.REFUSED
    return text, Ending.COMPLETE if reason in COMPLETE else Ending.CUT


def _asked_to_wait(details: Any) -> float | None:
    """Seconds of a RetryInfo such as ``{"retryDelay": "34s"}``: there is no Retry-After header."""
    for detail in details if isinstance(details, list) else ():
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s") and (seconds := wait_of(delay[:-1])) is not None:
            return seconds
    return None


def _image_part(image: Image, number: int) -> dict[str, Any]:
    if image.data is not None:
        return {"inlineData": {"mimeType": image.media_type, "data": place(number)}}
    guessed, _ = mimetypes.guess_type(urlsplit(image.url or "").path)
    return {"fileData": {"mimeType": guessed or "image/jpeg", "fileUri": image.url}}
