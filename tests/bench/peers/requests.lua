-- Has wrk send requests with tokens from a file, one line each: a token, and behind a space a DPoP proof.
--
--     wrk -s requests.lua URL -- FILE FIRST COUNT METHOD PATH BODY TRACES PADDING
--
-- Lines FIRST to FIRST + COUNT - 1 come in turn. BODY is a file, or -. TRACES: each request has a traceparent
-- of its own. PADDING: bytes of header lines besides.
local prepared, number, traces = {}, 0, false

function init(arguments)
  local file, first, count, method, path, body, traced, padding = unpack(arguments)
  traces = traced == "traces"
  local content = nil
  if body ~= "-" then
    local opened = io.open(body)
    content = opened:read("*a")
    opened:close()
  end
  local skipped = 0
  for line in io.lines(file) do
    if #prepared >= tonumber(count) then break end
    skipped = skipped + 1
    if skipped > tonumber(first) then
      local token, proof = line:match("^(%S+) ?(%S*)$")
      local headers = {
        ["Accept"] = "application/json, text/event-stream",
        ["User-Agent"] = "mcp-client/1.0",
        ["Authorization"] = (proof == "" and "Bearer " or "DPoP ") .. token,
      }
      if proof ~= "" then headers["DPoP"] = proof end
      if content then
        headers["Content-Type"] = "application/json"
        headers["MCP-Protocol-Version"] = "2025-11-25"
      end
      for index = 1, math.floor(tonumber(padding) / 1000) do
        headers["X-Padding-" .. index] = string.rep("p", 980)
      end
      local request = wrk.format(method, path, headers, content)
      if traces then
        request = { request:match("^(.-\r\n)(.*)$") }
      end
      prepared[#prepared + 1] = request
    end
  end
end

function request()
  number = number + 1
  local chosen = prepared[(number - 1) % #prepared + 1]
  if not traces then return chosen end
  local trace = string.format("traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01\r\n", number)
  return chosen[1] .. trace .. chosen[2]
end
