"""One run of the Claude Agent SDK: its bundled CLI, one tool in this process, nothing that leaves the machine."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import claude_agent_sdk as sdk

__all__ = ["TOOL", "Run", "bundled_cli", "run"]

TOOL = "mcp__shop__price"
"""The name under which the model calls the tool."""
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
"""Variables under which the CLI talks to its base URL and to nothing else."""
MAX_TURNS = 5

Price = Callable[[str], Awaitable[str]]
"""The tool: takes an item, returns its price."""


@dataclass(slots=True)
class Run:
    """Holds what the agent's user saw: the text of each message, each call of the tool, and how it ended."""

    texts: list[str] = field(default_factory=list)
    called: list[dict[str, Any]] = field(default_factory=list)
    turns: int = 0
    failed: bool = False
    result: str = ""


def bundled_cli() -> Path:
    """Returns the CLI that the package carries; fails if it carries none, for another one was not measured."""
    cli = Path(sdk.__file__).parent / "_bundled" / "claude"
    assert cli.exists(), (
        "claude-agent-sdk carries no CLI here: its wheels for Linux and macOS do, its source distribution does not; "
        "install it with pip from a wheel"
    )
    return cli


async def run(prompt: str, url: str, token: str, model: str, home: Path, price: Price) -> Run:
    """Runs an agent until its turn ends, with the token in its API-key slot; raises ClaudeSDKError if it crashed."""
    seen = Run()

    @sdk.tool("price", "Returns the price of an item", {"item": str})
    async def tool(arguments: dict[str, Any]) -> dict[str, Any]:
        seen.called.append(arguments)
        return {"content": [{"type": "text", "text": await price(str(arguments["item"]))}]}

    options = sdk.ClaudeAgentOptions(
        tools=[],
        allowed_tools=[TOOL],
        mcp_servers={"shop": sdk.create_sdk_mcp_server("shop", tools=[tool])},
        strict_mcp_config=True,
        setting_sources=[],
        model=model,
        max_turns=MAX_TURNS,
        cli_path=bundled_cli(),
        cwd=home,
        env={**QUIET, "HOME": str(home), "ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": token},
    )
    ended = False
    try:
        async for message in sdk.query(prompt=prompt, options=options):
            if isinstance(message, sdk.AssistantMessage):
                seen.texts += [block.text for block in message.content if isinstance(block, sdk.TextBlock)]
            elif isinstance(message, sdk.ResultMessage):
                ended = True
                seen.turns, seen.failed, seen.result = message.num_turns, message.is_error, message.result or ""
    except sdk.ClaudeSDKError:
        # The SDK raises once more what a failed turn's result has said already.
        if not (ended and seen.failed):
            raise
    assert ended, "the turn never ended"
    return seen
