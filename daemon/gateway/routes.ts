import type { Link } from './link.ts';
import type { NotificationMessage, RequestMessage } from './message.ts';

/** Where a tool call goes. */
export interface ToolTarget {
  readonly link: Link;
  /** The tool's name at its server. */
  readonly tool: string;
}

/** A tool name that leads nowhere. `server` and `tool` are for the record. */
export interface NoTarget {
  readonly fault: string;
  readonly server: string;
  readonly tool: string;
}

/**
 * Where messages of one client go: to a single upstream as they are, or to several under prefixed names. Tool calls, answers
 * and cancellation are the connection's own; the rest is the routes'.
 */
export interface Routes {
  request(request: RequestMessage, origin: unknown): void;
  notification(message: NotificationMessage): void;
  /** Answers a call of one of sessiond's own tools; false when it is none. */
  ownTool(request: RequestMessage, origin: unknown): boolean;
  toolTarget(name: string): ToolTarget | NoTarget;
  links(): Iterable<Link>;
  /** True when the notification is dealt with; otherwise it passes to the client as it is. */
  fromUpstream(link: Link, message: NotificationMessage): boolean;
  /** An upstream has started, or started again. */
  linkReady(link: Link): void;
  close(): void;
}
