-- Makes wrk end its output with one line for a program to read. Only `done` is defined, so a request costs nothing more.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'bench {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
