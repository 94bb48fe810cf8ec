"""Tallies in Redis. One script decides on everything that is asked together, by Redis's own clock,
so that processes and machines agree."""

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from core.tallies.kinds import Bucket, Count, Tally, Verdict

# A request waits no longer than this for a Redis that does not answer.
PATIENCE = 0.25
# Groups a round trip: what a thousand take must not look like a Redis that does not answer.
AT_ONCE = 100

# First everything is looked at, then all of it is written, or nothing. For each key there are five
# arguments: kind, limit, span, amount, and for counts the seed, -1 where it is not known.
# Times are in microseconds: a double holds them exactly. An amount below zero gives back.
_SCRIPT = """
local function keep(key, value, microseconds)
  local milliseconds = math.max(1, math.ceil(microseconds / 1000))
  redis.call('SET', key, string.format('%.0f', value), 'PX', string.format('%.0f', milliseconds))
end
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local is_real = ARGV[1] == '1'
local answers, is_refused = {}, false
local before, after = {}, {}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  local kind, limit, span = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local amount, seed = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local ok, wait = 1, 0
  if kind == 'bucket' then
    local step = span / limit
    local full_at = math.max(now, tonumber(redis.call('GET', key) or 0))
    local next_at = math.max(now, full_at + amount * step)
    if amount > 0 and next_at - now > span + 1 then
      ok, wait = 0, next_at - now - span
    end
    before[i], after[i] = full_at, next_at
  elseif kind == 'count' then
    local found = redis.call('GET', key)
    if not found and seed < 0 and amount >= 0 then
      return {-1}
    end
    local used = math.max(tonumber(found or 0), seed)
    if amount > 0 and used + amount > limit then
      ok = 0
    end
    before[i], after[i] = used, math.max(0, used + amount)
  elseif amount > 0 then
    if amount > limit then
      ok, wait = 0, span
    else
      local since = tonumber(redis.call('LINDEX', key, limit - amount) or 0)
      if since > now - span then
        ok, wait = 0, since + span - now
      end
    end
  end
  if ok == 0 then
    is_refused = true
  end
  answers[i] = {ok, math.ceil(wait)}
end
local flat = {}
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  local kind, limit, span = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local amount, seed = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local is_taken = is_real and amount ~= 0 and not (is_refused and amount > 0)
  local stands, left, reset = before[i], 0, 0
  if is_taken then
    stands = after[i]
  end
  if kind == 'bucket' then
    left = math.max(0, math.floor((span - (stands - now)) / (span / limit) + 0.001))
    reset = math.ceil(stands - now)
  elseif kind == 'count' then
    left = math.max(0, limit - stands)
  end
  for _, value in ipairs({answers[i][1], left, answers[i][2], reset}) do
    flat[#flat + 1] = value
  end
  if kind == 'count' then
    -- A count that was lost is not begun by giving back.
    if seed >= 0 or (is_taken and redis.call('EXISTS', key) == 1) then
      keep(key, stands, span)
    end
  elseif is_taken and kind == 'bucket' then
    keep(key, stands, stands - now)
  elseif is_taken then
    for _ = 1, math.abs(amount) do
      if amount > 0 then
        redis.call('LPUSH', key, string.format('%.0f', now))
      else
        redis.call('LPOP', key)
      end
    end
    if amount > 0 then
      redis.call('LTRIM', key, 0, limit - 1)
      redis.call('PEXPIRE', key, string.format('%.0f', span / 1000))
    end
  end
end
return flat
"""


# By URL, each with the script. Connections of a process that forked are not shared: the pool knows.
_clients: dict[str, tuple[Any, Any]] = {}


def _client(url: str) -> tuple[Any, Any]:
    """Kept apart from the cache's, whose patience would be a request's. Nothing is repeated: what
    was asked twice would be counted twice."""
    if url not in _clients:
        client = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        _clients[url] = client, client.register_script(_SCRIPT)
    return _clients[url]


def close_clients() -> None:
    """Of every Redis that was asked."""
    for client, _ in _clients.values():
        client.close()
    _clients.clear()


def ask_each(
    url: str, groups: Sequence[Sequence[Tally]], seeds: dict[str, int], *, is_real: bool
) -> list[list[Verdict] | None]:
    """Each group for itself, a hundred in one round trip; None where a count was lost. Raises what
    `redis` raises."""
    client, script = _client(url)
    asked = [_asked(group, seeds, is_real=is_real) for group in groups]
    answers = _run_all(client, script, asked)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        # A Redis that was started anew. Others may have loaded the script while ours came in.
        client.script_load(_SCRIPT)
        missed = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        repeated = _run_all(client, script, [asked[i] for i in missed])
        for i, answer in zip(missed, repeated, strict=True):
            answers[i] = answer
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [None if answer == [-1] else _verdicts(answer) for answer in answers]


def _run_all(client: Any, script: Any, asked: Sequence[tuple[list[str], list[Any]]]) -> list[Any]:
    """The answers, an error standing for itself."""
    answers: list[Any] = []
    for begin in range(0, len(asked), AT_ONCE):
        with client.pipeline(transaction=False) as pipe:
            for keys, arguments in asked[begin : begin + AT_ONCE]:
                pipe.evalsha(script.sha, len(keys), *keys, *arguments)
            answers += pipe.execute(raise_on_error=False)
    return answers


def _asked(
    tallies: Sequence[Tally], seeds: dict[str, int], *, is_real: bool
) -> tuple[list[str], list[Any]]:
    arguments: list[Any] = [int(is_real)]
    for tally in tallies:
        if isinstance(tally, Bucket):
            arguments += ["bucket", tally.size, int(tally.seconds * 1e6), tally.amount, -1]
        elif isinstance(tally, Count):
            seed = seeds.get(tally.key, -1)
            arguments += ["count", tally.limit, tally.keep_seconds * 10**6, tally.amount, seed]
        else:
            arguments += ["recent", tally.limit, tally.seconds * 10**6, tally.amount, -1]
    return [tally.key for tally in tallies], arguments


def _verdicts(flat: list[int]) -> list[Verdict]:
    return [
        Verdict(flat[i] == 1, flat[i + 1], wait=flat[i + 2] / 1e6, reset=flat[i + 3] / 1e6)
        for i in range(0, len(flat), 4)
    ]
