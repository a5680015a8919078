import * as vscode from 'vscode';
import { registerCommands } from './commands.ts';
import { DaemonConnection } from './connection.ts';
import { homeFolder } from './discovery.ts';
import { SessionsTree } from './sessionsTree.ts';

/** Called by VS Code when the view is first shown or a command is first run. */
export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('sessiond', { log: true });
  const connection = new DaemonConnection({
    home: homeFolder(process.env),
    script: context.asAbsolutePath('dist/sessiond.js'),
    log,
  });
  const tree = new SessionsTree(connection, log);
  const view = vscode.window.createTreeView('sessiond.sessions', { treeDataProvider: tree });
  const showState = connection.onState(state => {
    // A message takes the place of the welcome view, which offers to start the daemon.
    view.message = state === 'unreachable' && !tree.empty ? 'Daemon not reachable, retrying…' : '';
    void vscode.commands.executeCommand('setContext', 'sessiond.state', state);
  });
  context.subscriptions.push(
    log,
    connection,
    tree,
    view,
    showState,
    registerCommands(connection, () => tree.refresh(), log),
  );
}
