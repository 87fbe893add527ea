"""The providers that come with the project: alias -> adapter, address, key, model, limits, prices."""

from __future__ import annotations

from typing import Any

from batchsite import environment

SMS_PER_SECOND = {"high": 8.0, "normal": 5.0, "low": 2.0}
# What the makers of models ask per million tokens (without discounts for what is cached, or surcharges for very long
# prompts), and what a message to the USA costs about: carriers differ by country, so set your own by PROVIDER_PRICES.
PRICED = {"currency": "USD", "as_of": "2026-11-21"}
KNOWN_PROVIDERS: dict[str, dict[str, Any]] = {
    "openai-gpt-5": {
        "adapter": "providers.ai.openai.OpenAI",
        "base_url": "https://api.openai.com/v1",
        "key_variable": "OPENAI_API_KEY",
        "model": "gpt-5",
        "prices": {
            "input_per_million": 1.25,
            "output_per_million": 10,
            "economy_input_per_million": 0.625,
            "economy_output_per_million": 5,
            **PRICED,
        },
    },
    "openai-gpt-6-luna": {
        "adapter": "providers.ai.openai.OpenAI",
        "base_url": "https://api.openai.com/v1",
        "key_variable": "OPENAI_API_KEY",
        "model": "gpt-6-luna",
        "prices": {
            "input_per_million": 0.10,
            "output_per_million": 0.50,
            "economy_input_per_million": 0.05,
            "economy_output_per_million": 0.25,
            **PRICED,
        },
    },
    "openai-images": {
        "adapter": "providers.ai.openai_images.OpenAIImages",
        "base_url": "https://api.openai.com/v1",
        "key_variable": "OPENAI_API_KEY",
        "model": "gpt-image-1",
        "prices": {"input_per_million": 5, "output_per_million": 40, **PRICED},
    },
    # Document 004 asks for this model, which is gone: its name stands for the one that took its place.
    "gpt-4": {
        "adapter": "providers.ai.openai.OpenAI",
        "base_url": "https://api.openai.com/v1",
        "key_variable": "OPENAI_API_KEY",
        "model": "gpt-4.1",
        "prices": {
            "input_per_million": 2,
            "output_per_million": 8,
            "economy_input_per_million": 1,
            "economy_output_per_million": 4,
            **PRICED,
        },
    },
    "anthropic-haiku": {
        "adapter": "providers.ai.anthropic.Anthropic",
        "base_url": "https://api.anthropic.com",
        "key_variable": "ANTHROPIC_API_KEY",
        "model": "claude-haiku-5-5",
        "prices": {
            "input_per_million": 0.10,
            "output_per_million": 0.50,
            "economy_input_per_million": 0.05,
            "economy_output_per_million": 0.25,
            **PRICED,
        },
    },
    "anthropic-sonnet": {
        "adapter": "providers.ai.anthropic.Anthropic",
        "base_url": "https://api.anthropic.com",
        "key_variable": "ANTHROPIC_API_KEY",
        "model": "claude-sonnet-5-5",
        "prices": {
            "input_per_million": 2,
            "output_per_million": 10,
            "economy_input_per_million": 1,
            "economy_output_per_million": 5,
            **PRICED,
        },
    },
    "gemini-flash": {
        "adapter": "providers.ai.gemini.Gemini",
        "base_url": "https://generativelanguage.googleapis.com/v1beta",
        "key_variable": "GEMINI_API_KEY",
        "model": "gemini-3.8-flash",
        "prices": {
            "input_per_million": 0.75,
            "output_per_million": 3.75,
            "economy_input_per_million": 0.375,
            "economy_output_per_million": 1.875,
            **PRICED,
        },
    },
    "grok": {
        "adapter": "providers.ai.xai.XAI",
        "base_url": "https://api.x.ai/v1",
        "key_variable": "XAI_API_KEY",
        "model": "grok-4.7",
        "prices": {
            "input_per_million": 2,
            "output_per_million": 6,
            "economy_input_per_million": 1.60,
            "economy_output_per_million": 4.80,
            **PRICED,
        },
    },
    "groq-qwen": {
        "adapter": "providers.ai.groq.Groq",
        "base_url": "https://api.groq.com/openai/v1",
        "key_variable": "GROQ_API_KEY",
        "model": "qwen/qwen3.8-27b",
        "prices": {
            "input_per_million": 0.80,
            "output_per_million": 4,
            "economy_input_per_million": 0.40,
            "economy_output_per_million": 2,
            **PRICED,
        },
    },
    "twilio": {
        "adapter": "providers.sms.twilio.Twilio",
        "base_url": "https://api.twilio.com",
        "key_variable": "TWILIO_AUTH_TOKEN",
        "account": environment.text("TWILIO_ACCOUNT_SID"),
        "sender": environment.text("TWILIO_FROM"),
        "variables": {"account": "TWILIO_ACCOUNT_SID", "sender": "TWILIO_FROM"},
        "signature_variable": "TWILIO_SIGNATURE_SECRET",
        "limits": {"sms_per_second": SMS_PER_SECOND},
        "prices": {"per_segment": 0.0083, **PRICED},
    },
    "vonage": {
        "adapter": "providers.sms.vonage.Vonage",
        "base_url": "https://api.nexmo.com",
        "key_variable": "VONAGE_API_SECRET",
        "account": environment.text("VONAGE_API_KEY"),
        "sender": environment.text("VONAGE_FROM"),
        "variables": {"account": "VONAGE_API_KEY", "sender": "VONAGE_FROM"},
        "signature_variable": "VONAGE_SIGNATURE_SECRET",
        "limits": {"sms_per_second": SMS_PER_SECOND},
        "prices": {"per_segment": 0.0083, **PRICED},
    },
    "plivo": {
        "adapter": "providers.sms.plivo.Plivo",
        "base_url": "https://api.plivo.com",
        "key_variable": "PLIVO_AUTH_TOKEN",
        "account": environment.text("PLIVO_AUTH_ID"),
        "sender": environment.text("PLIVO_FROM"),
        "variables": {"account": "PLIVO_AUTH_ID", "sender": "PLIVO_FROM"},
        "limits": {"sms_per_second": SMS_PER_SECOND},
        "prices": {"per_segment": 0.0083, **PRICED},
    },
}
