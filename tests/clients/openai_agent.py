"""An OpenAI Agents run whose model is a script: it calls the denied tool, the streamed one and the allowed one.

The finding is the text that the model saw after each call. The SDK has no way to watch progress, so that is null.
Usage: openai_agent.py URL
"""

import json

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

import common

finding = common.blank("openai-agents", "openai-agents")
ROLES = ["denied", "progress", "allowed"]


class ScriptedModel(Model):
    """Calls one tool a turn, remembers what came back, and ends with a message."""

    def __init__(self):
        self.turn = 0
        self.seen = {}

    async def get_response(self, system_instructions, input, *_, **__):
        for item in input if isinstance(input, list) else []:
            if isinstance(item, dict) and item.get("type") == "function_call_output":
                self.seen[item["call_id"]] = item["output"]
        if self.turn < len(ROLES):
            role = ROLES[self.turn]
            name, arguments = common.tool(role)
            output = ResponseFunctionToolCall(
                type="function_call", id=f"f-{role}", call_id=role, name=name, arguments=json.dumps(arguments)
            )
        else:
            said = ResponseOutputText(type="output_text", text="done", annotations=[])
            output = ResponseOutputMessage(
                type="message", id="m", role="assistant", status="completed", content=[said]
            )
        self.turn += 1
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError("the run is not streamed")


async def session(url):
    set_tracing_disabled(True)
    parameters = {"url": url, "headers": common.headers()}
    async with MCPServerStreamableHttp(params=parameters, client_session_timeout_seconds=30) as server:
        finding["listed"] = len(await server.list_tools())
        model = ScriptedModel()
        result = await Runner.run(Agent(name="stand", model=model, mcp_servers=[server]), "go")
        seen = {role: text_of(model.seen.get(role)) for role in ROLES}
        # The SDK does not pass on whether a result was an error: the text is all that the model gets.
        finding["denied"] = {"is_error": None, "text": seen["denied"]}
        expected = bool(seen["allowed"]) and "error occurred while running" not in seen["allowed"]
        finding["allowed"] = {"ok": expected, "text": seen["allowed"]}
        finding["survived"] = expected and result.final_output == "done"


def text_of(output):
    if isinstance(output, list):
        output = " ".join(block.get("text", "") for block in output)
    return str(output or "")[: common.TEXT_MAX]


common.run(finding, session)
