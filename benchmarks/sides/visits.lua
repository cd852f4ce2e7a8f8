-- What wrk asks for: pages drawn as benchmarks.support.counting draws keys, each of a thousand with a probability
-- proportional to 1 / rank; and one line of JSON about how it went.

local PAGES, DRAWS = 1000, 20000
local requests, number = {}, 0

function init()
  local sums, sum = {}, 0
  for rank = 1, PAGES do
    sum = sum + 1 / rank
    sums[rank] = sum
  end
  math.randomseed(20260303)
  for draw = 1, DRAWS do
    local point, rank = math.random() * sum, 1
    while sums[rank] < point do
      rank = rank + 1
    end
    requests[draw] = wrk.format("GET", "/articles/2026/03/" .. rank)
  end
end

function request()
  number = number % DRAWS + 1
  return requests[number]
end

function done(summary)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
