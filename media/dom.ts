import { visibleParts } from '../shared/visibleText.ts';

const shown = new WeakMap<Node, string>();

/** Makes an element with attributes and children; strings become text nodes. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Shows recorded text in text nodes, what could deceive escaped; does nothing when it is shown already. */
export function showText(target: HTMLElement, text: string, multiline = false): void {
  if (shown.get(target) === text) return;
  shown.set(target, text);
  target.replaceChildren(
    ...visibleParts(text, multiline).map(part =>
      part.escaped ? element('span', { class: 'escape' }, part.text) : part.text,
    ),
  );
}

/** An element that shows recorded text. */
export function textElement(tag: keyof HTMLElementTagNameMap, className: string, text = ''): HTMLElement {
  const made = element(tag, { class: className });
  showText(made, text);
  return made;
}

/** Hides or shows without touching what is unchanged. */
export function setHidden(target: HTMLElement, hidden: boolean): void {
  if (target.hidden !== hidden) target.hidden = hidden;
}

/**
 * Makes `wanted` the children of `parent`, moving as few as it can. Focus stays where it was; when its row has gone it
 * goes to the row in that place.
 */
export function placeInOrder(parent: HTMLElement, wanted: readonly HTMLElement[]): void {
  const focused = document.activeElement;
  const inside = focused instanceof HTMLElement && focused !== parent && parent.contains(focused) ? focused : null;
  const children = [...parent.children];
  const index = inside === null ? -1 : children.findIndex(child => child.contains(inside));
  const keep = new Set<Element>(wanted);
  for (const child of children) if (!keep.has(child)) child.remove();
  let at = parent.firstElementChild;
  for (const node of wanted) {
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  if (inside === null || document.activeElement === inside) return;
  const heir = inside.isConnected
    ? inside
    : wanted[Math.min(index, wanted.length - 1)]?.querySelector<HTMLElement>('a, button');
  heir?.focus({ preventScroll: true });
}

/** Moves focus with the arrow keys, Home and End among the elements that `selector` finds below `list`. */
export function arrowNavigation(list: HTMLElement, selector: string): void {
  list.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement)) return;
    const stops = [...list.querySelectorAll<HTMLElement>(selector)];
    const at = stops.indexOf(event.target);
    if (at === -1) return;
    const last = stops.length - 1;
    const steps: Partial<Record<string, number>> = {
      ArrowDown: Math.min(at + 1, last),
      ArrowUp: Math.max(at - 1, 0),
      Home: 0,
      End: last,
    };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    stops[to]?.focus();
  });
}

/** A button that puts text on the clipboard and says whether it did. */
export function copyButton(label: string, text: () => string): HTMLButtonElement {
  const button = element('button', { type: 'button', class: 'quiet' }, label);
  button.addEventListener('click', async () => {
    const said = await navigator.clipboard.writeText(text()).then(
      () => 'Copied',
      () => 'Not allowed to copy',
    );
    button.textContent = said;
    setTimeout(() => {
      button.textContent = label;
    }, 1500);
  });
  return button;
}
