import * as vscode from 'vscode';
import type { Session } from '../shared/session.ts';
import type { DaemonConnection } from './connection.ts';

/** Registers the extension's commands; what goes wrong in one is shown to the user who called it. */
export function registerCommands(
  connection: DaemonConnection,
  refresh: () => void,
  log: vscode.LogOutputChannel,
): vscode.Disposable {
  const register = <Arguments extends unknown[]>(name: string, run: (...given: Arguments) => Promise<void>) =>
    vscode.commands.registerCommand(name, async (...given: Arguments) => {
      try {
        await run(...given);
      } catch (error) {
        log.error(error instanceof Error ? error : String(error));
        const message = error instanceof Error ? error.message : String(error);
        // Not awaited: the command has ended, however long its message stays in sight.
        void vscode.window.showErrorMessage(message, 'Show Log').then(choice => {
          if (choice !== undefined) log.show();
        });
      }
    });

  return vscode.Disposable.from(
    register('sessiond.open', async (session?: Session) => {
      const client = await connection.connect();
      const { url } = await client.pageLink();
      const link = vscode.Uri.parse(url, true);
      const address = session === undefined ? link : link.with({ fragment: `/session/${session.session_id}` });
      await vscode.env.openExternal(address);
    }),
    register('sessiond.refresh', async () => {
      await connection.connect();
      refresh();
    }),
    register('sessiond.newSession', async () => {
      const title = await vscode.window.showInputBox({
        title: 'New Session',
        prompt: 'What are you working on?',
        placeHolder: 'Debug the auth bug',
        validateInput: text => (text.trim().length > 500 ? 'Use 500 characters or fewer.' : undefined),
      });
      if (title === undefined || title.trim() === '') return;
      const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file');
      const client = await connection.connect();
      await client.call('sessions_create', {
        title: title.trim(),
        ...(folder === undefined ? {} : { workspace: folder.uri.fsPath }),
      });
      refresh();
    }),
  );
}
