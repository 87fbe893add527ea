"""Text messages, as document 002 has them: campaigns, messages in doubt, opt-outs, what providers call."""

from __future__ import annotations

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Maybe, Parameter
from batches.api.documentation.examples import AT, BATCH_ID, IDEMPOTENCY_KEY, PAGE, PAGED, SMS

OPT_OUT = {
    "phoneNumber": "+14155552671",
    "source": "inbound",
    "keyword": Maybe("STOP"),
    "provider": Maybe("twilio"),
    "createdAt": AT,
}

ROUTES: dict[str, Description] = {
    "POST /api/batch": Description(
        summary="Send a text message to each recipient",
        tag=SMS,
        body=bodies.SMS,
        body_example=bodies.document_002(),
        parameters=(IDEMPOTENCY_KEY,),
        answers={
            202: {
                "success": True,
                "batchId": BATCH_ID,
                "status": "processing",
                "totalRecipients": 1,
                "warnings": ["Variable 'x' is not used by the template and was dropped (recipients: 1)."],
            }
        },
        statuses=(409, 429),
    ),
    "POST /api/batch/{batch_id}/settle": Description(
        summary="Settle messages in doubt",
        tag=SMS,
        body=bodies.SETTLE,
        body_example={"as": "sent", "positions": [3]},
        answers={200: {"success": True, "settled": 1}},
        details="Items are `unknown` where a message may have left and its answer never came. Receipts and look-ups at "
        "the provider settle them; so may you, who has seen the provider's own log: `sent` makes them succeed, "
        "`notSent` fail, after which they can be retried. Without `positions` all of them.",
    ),
    "GET /api/opt-outs": Description(
        summary="Who wants no messages of you",
        tag=SMS,
        parameters=(Parameter("phoneNumber", {"type": "string", "minLength": 1, "maxLength": 64}), *PAGED),
        answers={200: {"success": True, "optOuts": [OPT_OUT], **PAGE}},
        details="Asked when a batch is created, and again right before each message.",
    ),
    "POST /api/opt-outs": Description(
        summary="Put numbers on the list",
        tag=SMS,
        body=bodies.OPT_OUTS,
        body_example={"phoneNumbers": ["+14155552671"]},
        answers={200: {"success": True, "added": 1, "alreadyListed": 0}},
        details="`fileId`: an uploaded CSV file with a column phoneNumber, in place of phoneNumbers.",
    ),
    "DELETE /api/opt-outs": Description(
        summary="Take numbers off the list",
        tag=SMS,
        body=bodies.OPT_OUT_NUMBERS,
        body_example={"phoneNumbers": ["+14155552671"]},
        answers={200: {"success": True, "removed": 1}},
    ),
    "POST /api/receipts/{alias}": Description(
        summary="What a provider of messages tells of one",
        tag=SMS,
        answers={204: None},
        statuses=(403, 404),
        details="Called by the provider alone, who signs it: nothing else is let in, and nothing else lets it in.",
        is_open=True,
    ),
    "GET /api/receipts/{alias}": Description(
        summary="The same, as some accounts send it", tag=SMS, answers={204: None}, statuses=(400, 403), is_open=True
    ),
    "POST /api/inbound/{alias}": Description(
        summary="What a person answers to a message",
        tag=SMS,
        answers={204: None},
        statuses=(403, 404),
        details="Signed as receipts are. STOP and its kin put the number on the opt-out list of every owner who has "
        "texted it through this account; START takes it off again.",
        is_open=True,
    ),
    "GET /api/inbound/{alias}": Description(
        summary="The same, as some accounts send it", tag=SMS, answers={204: None}, statuses=(400, 403), is_open=True
    ),
}
