import * as vscode from 'vscode';
import type { Session, SessionStatus } from '../shared/session.ts';
import { folderName, sessionLabel } from '../shared/sessionLabel.ts';
import { visible } from '../shared/visibleText.ts';
import type { DaemonConnection } from './connection.ts';

/** Sessions that the tree shows; the page shows all. */
const MOST_SHOWN = 50;
/** Changes within this time are read together. */
const REFRESH_PAUSE_MS = 300;

const icons: Record<SessionStatus, vscode.ThemeIcon> = {
  created: new vscode.ThemeIcon('circle-outline'),
  active: new vscode.ThemeIcon('circle-filled', new vscode.ThemeColor('charts.green')),
  suspended: new vscode.ThemeIcon('debug-pause', new vscode.ThemeColor('charts.yellow')),
  completed: new vscode.ThemeIcon('pass', new vscode.ThemeColor('charts.green')),
  failed: new vscode.ThemeIcon('error', new vscode.ThemeColor('charts.red')),
  abandoned: new vscode.ThemeIcon('circle-slash'),
};

/** The newest sessions, the most recently active first, kept current. */
export class SessionsTree implements vscode.TreeDataProvider<Session>, vscode.Disposable {
  readonly #connection: DaemonConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #refreshed = new vscode.EventEmitter<undefined>();
  readonly #subscriptions: vscode.Disposable[];
  #timer: NodeJS.Timeout | undefined;
  #shown: Session[] = [];
  #asked = false;

  readonly onDidChangeTreeData = this.#refreshed.event;

  constructor(connection: DaemonConnection, log: vscode.LogOutputChannel) {
    this.#connection = connection;
    this.#log = log;
    this.#subscriptions = [this.#refreshed, connection.onChanged(() => this.#refreshSoon())];
  }

  /** True while there is no session to show. */
  get empty(): boolean {
    return this.#shown.length === 0;
  }

  /** Reads the sessions anew. */
  refresh(): void {
    this.#refreshed.fire(undefined);
  }

  async getChildren(parent?: Session): Promise<Session[]> {
    if (parent !== undefined) return [];
    try {
      // A daemon that the user has stopped is not started again by a view that is merely shown.
      const client = this.#asked ? this.#connection.client : await this.#connection.connect();
      if (client === null) return this.#shown;
      const { items } = await client.call('sessions_list', { limit: MOST_SHOWN });
      this.#shown = items;
    } catch (error) {
      // What was read before stays in sight; the view says that the daemon is away.
      this.#log.error(error instanceof Error ? error : String(error));
    } finally {
      this.#asked = true;
    }
    return this.#shown;
  }

  getTreeItem(session: Session): vscode.TreeItem {
    const label = visible(sessionLabel(session));
    const item = new vscode.TreeItem(label);
    const calls = session.total_invocations === 1 ? '1 call' : `${session.total_invocations} calls`;
    const errors = session.failed_invocations > 0 ? `${session.failed_invocations} failed` : '';
    const folder = session.workspace === null ? '' : visible(folderName(session.workspace));
    item.id = session.session_id;
    item.description = [calls, errors, folder].filter(Boolean).join(' · ');
    item.iconPath = icons[session.status];
    item.contextValue = 'session';
    item.tooltip = tooltip(session, label);
    item.accessibilityInformation = {
      label: [label, session.status, calls, errors, folder].filter(Boolean).join(', '),
    };
    return item;
  }

  dispose(): void {
    clearTimeout(this.#timer);
    vscode.Disposable.from(...this.#subscriptions).dispose();
  }

  #refreshSoon(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.refresh();
    }, REFRESH_PAUSE_MS);
  }
}

/** Recorded text goes in as text: in Markdown it could show links and images of its own. */
function tooltip(session: Session, label: string): vscode.MarkdownString {
  const lines = [
    `Status: ${session.status}`,
    session.client === null ? '' : `Client: ${visible(session.client)}`,
    session.workspace === null ? '' : `Workspace: ${visible(session.workspace)}`,
    session.tags.length === 0 ? '' : `Tags: ${session.tags.map(visible).join(', ')}`,
    `Last activity: ${new Date(session.last_activity_at).toLocaleString()}`,
    `Session id: ${session.session_id}`,
  ];
  const text = new vscode.MarkdownString();
  text.appendText(label);
  for (const line of lines.filter(Boolean)) text.appendMarkdown('\n\n').appendText(line);
  return text;
}
