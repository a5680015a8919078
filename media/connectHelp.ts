import { daemonStatus } from './api.ts';
import { copyButton, element, textElement } from './dom.ts';

/** What to do when nothing was recorded yet: two ways to connect an assistant, with this home's own launcher in them. */
export function connectHelp(): HTMLElement {
  const help = element('div', { class: 'empty' });
  const show = (launcher: string) => {
    const wrapped = {
      command: launcher,
      args: ['wrap', 'files', '--', 'npx', '-y', '@modelcontextprotocol/server-filesystem', '.'],
    };
    help.replaceChildren(
      element('h2', {}, 'No sessions yet'),
      element('p', {}, 'Put sessiond in front of what your assistant uses, and its tool calls appear here.'),
      element('h3', {}, 'One server: wrap its command in your mcp.json'),
      sample(JSON.stringify(wrapped, null, 2)),
      element('h3', {}, 'All servers that sessiond knows: name sessiond itself'),
      sample(JSON.stringify({ command: launcher, args: ['stdio'] }, null, 2)),
      element('p', {}, 'Or begin a session by hand: ', element('code', {}, 'sessiond new "What I am working on"')),
    );
  };
  show('sessiond');
  daemonStatus().then(
    status => {
      const windows = /^[A-Za-z]:|^\\\\/.test(status.home);
      show(windows ? `${status.home}\\bin\\sessiond.cmd` : `${status.home}/bin/sessiond`);
    },
    () => {
      // Without the answer the plain command stays; the connection's own line tells that the daemon is away.
    },
  );
  return help;
}

function sample(text: string): HTMLElement {
  const code = textElement('code', '');
  code.textContent = text;
  return element(
    'div',
    { class: 'sample' },
    element('pre', { tabindex: '0' }, code),
    copyButton('Copy', () => text),
  );
}
