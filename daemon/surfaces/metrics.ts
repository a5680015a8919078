import type { OperationOutput } from '../../shared/operations/table.ts';

/** Prometheus text format 0.0.4 of the daemon's state. */
export function metricsText(status: OperationOutput<'daemon_status'>, subscribers: number): string {
  const started = Date.parse(status.started_at) / 1000;
  const { user, system } = process.cpuUsage();
  const metrics: [name: string, type: 'gauge' | 'counter', help: string, value: number][] = [
    ['sessiond_sessions', 'gauge', 'Sessions recorded', status.sessions],
    ['sessiond_invocations', 'gauge', 'Calls recorded', status.invocations],
    ['sessiond_invocations_running', 'gauge', 'Calls in flight', status.running],
    ['sessiond_clients', 'gauge', 'Connected MCP clients', status.clients],
    ['sessiond_event_subscribers', 'gauge', 'Open event streams', subscribers],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory', status.memory_bytes],
    ['process_cpu_seconds_total', 'counter', 'CPU time, user and system', (user + system) / 1e6],
    ['process_start_time_seconds', 'gauge', 'Start since the Unix epoch', started],
  ];
  const info =
    '# HELP sessiond_info What runs\n# TYPE sessiond_info gauge\n' +
    `sessiond_info{version=${label(status.version)},durability=${label(status.durability)}} 1\n`;
  return (
    info +
    metrics
      .map(([name, type, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
      .join('')
  );
}

function label(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}
