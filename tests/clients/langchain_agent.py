"""A LangChain agent whose model is a script: it calls the denied tool, the streamed one and the allowed one.

The finding is the text that the model saw after each call. Usage: langchain_agent.py URL
"""

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient

import common

finding = common.blank("langchain", "langchain-mcp-adapters")


class ScriptedModel(GenericFakeChatModel):
    """Says what its iterator yields, whatever tools it is given."""

    def bind_tools(self, tools, **_):
        return self


async def session(url):
    reports = []

    async def on_progress(progress, total, message, context):
        reports.append(progress)

    connection = {"transport": "streamable_http", "url": url, "headers": common.headers()}
    client = MultiServerMCPClient({"stand": connection}, callbacks=Callbacks(on_progress=on_progress))
    tools = await client.get_tools()
    finding["listed"] = len(tools)
    roles = ["denied", "progress", "allowed"]
    script = []
    for role in roles:
        name, arguments = common.tool(role)
        script.append(AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": role}]))
    model = ScriptedModel(messages=iter([*script, AIMessage("done")]))
    result = await create_agent(model, tools).ainvoke({"messages": [("user", "go")]})
    seen = {message.tool_call_id: message for message in result["messages"] if message.type == "tool"}
    denied, allowed = seen["denied"], seen["allowed"]
    finding["denied"] = {"is_error": denied.status == "error", "text": text_of(denied)}
    finding["allowed"] = {"ok": allowed.status == "success", "text": text_of(allowed)}
    finding["progress"] = len(reports)
    finding["survived"] = allowed.status == "success" and result["messages"][-1].content == "done"


def text_of(message):
    content = message.content
    if isinstance(content, list):
        content = " ".join(block.get("text", "") if isinstance(block, dict) else str(block) for block in content)
    return content[: common.TEXT_MAX]


common.run(finding, session)
