-- Sends each request of a file once. Arguments: the file, the number of connections.
--
-- A connection that asks for its next request has its last answer. When there is none left it is given nothing to send,
-- and rests; when all rest, all is answered. So answers need not be looked at, which would cost more than sending.

local ffi = require("ffi")

ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]

local CLOCK_MONOTONIC = ffi.os == "OSX" and 6 or 1
local REST = ""

-- One state of Lua makes the threads and says how it went,

local made

function setup(thread)
  made = thread
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'outcome {"answered":%d,"elapsed":%.9f,"cpu":%.6f,"p50":%.6f,"p99":%.6f,"bytes":%d,'
      .. '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}',
    summary.requests, made:get("elapsed"), made:get("cpu"), latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    summary.bytes, errors.connect, errors.read, errors.write, errors.timeout, errors.status
  ))
end

-- another one is the thread's: what `done` gets from it is global here.

elapsed, cpu = 0, 0

local pool = {}
local sent, resting, connections = 0, 0, 0
local tried = false
local began_at, began_cpu

local function now()
  local moment = ffi.new("moment")
  ffi.C.clock_gettime(CLOCK_MONOTONIC, moment)
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

local function read(name)
  local file = assert(io.open(name, "rb"))
  for size in function() return file:read("*n") end do
    file:read(1) -- the end of the line
    pool[#pool + 1] = file:read(size)
  end
  file:close()
end

local function rest()
  resting = resting + 1
  if resting == connections then
    elapsed, cpu = now() - began_at, os.clock() - began_cpu
    wrk.thread:stop()
    io.write("drained\n")
    io.flush()
  end
  return REST
end

function init(arguments)
  read(arguments[1])
  connections = tonumber(arguments[2])
end

function request()
  if not tried then -- wrk looks at one request beforehand, which it does not send
    tried = true
    return pool[1]
  end
  if sent == #pool then
    return rest()
  end
  if sent == 0 then -- all connections are on their way, and nothing is sent before we are told to
    io.write("ready\n")
    io.flush()
    io.read()
    began_at, began_cpu = now(), os.clock()
  end
  sent = sent + 1
  return pool[sent]
end
