const NODE = [22, 14] as const;
const NAPI = 10;

/**
 * Says in one line why this runtime can't run sessiond, or null when it can: Node 22.14 and N-API 10 are needed, which the
 * SQLite binary asks for. Call it before anything loads SQLite; this file imports nothing for that reason.
 */
export function runtimeFault(versions: NodeJS.ProcessVersions): string | null {
  const [major = 0, minor = 0] = versions.node.split('.').map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1]))
    return `sessiond needs Node ${NODE.join('.')} or newer, this is Node ${versions.node}: install a newer Node`;
  if (!(Number(versions.napi) >= NAPI))
    return `sessiond needs N-API ${NAPI} or newer, Node ${versions.node} has ${versions.napi ?? 'none'}: install a newer Node`;
  return null;
}
