/** The test page, built as the lab is, and visits to it. */
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build, type Rolldown } from 'vite';
import { embedded } from '../../embedded.ts';
import type { Command, CommandOf, Message, MessageOf } from '../../training/protocol.ts';
import { alias } from '../../vite.config.ts';
import type { Files, Host, Site } from '../site.ts';

/** Builds the test page. */
export async function builtPage(): Promise<Files> {
  const built = await build({
    root: fileURLToPath(new URL('.', import.meta.url)),
    configFile: false,
    base: './',
    logLevel: 'warn',
    plugins: [embedded],
    resolve: { alias },
    worker: { format: 'es' },
    build: { write: false, target: 'es2022', rolldownOptions: { input: fileURLToPath(new URL('page.html', import.meta.url)) } },
  });
  // One output was asked for, and no watching.
  const { output } = built as Rolldown.RolldownOutput;
  return new Map(output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]));
}

/** A page with a training, as a test sees it. */
export class Visit {
  readonly page: Page;
  /** All that has been said. */
  readonly said: Message[] = [];
  /** What the page's console said of errors. */
  readonly errors: string[];

  private constructor(page: Page, errors: string[]) {
    this.page = page;
    this.errors = errors;
  }

  static async to(browser: Browser, site: Site, host: Host): Promise<Visit> {
    const page = await (await browser.newContext()).newPage();
    const errors: string[] = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(String(error)));
    await page.goto(`${site[host]}page.html`);
    return new Visit(page, errors);
  }

  async open(given: Partial<CommandOf<'open'>> = {}, worker: 'faults' | null = null): Promise<void> {
    await this.page.evaluate(([given, worker]) => globalThis.lab.open(given, worker), [given, worker] as const);
  }

  async post(...commands: readonly Command[]): Promise<void> {
    // What goes to the page is data, and no blob: those are made there.
    await this.page.evaluate((data) => (data as Command[]).forEach((command) => globalThis.lab.post(command)), commands as unknown);
  }

  /** What is said of a kind, now. */
  async all<Kind extends Message['kind']>(kind: Kind): Promise<readonly MessageOf<Kind>[]> {
    // What the driver says is what messages hold.
    this.said.push(...((await this.page.evaluate(() => globalThis.lab.take())) as Message[]));
    return this.said.filter((message): message is MessageOf<Kind> => message.kind === kind);
  }

  /** The first message of a kind, of those from now on or those before it too, that fits; waits for it. */
  async until<Kind extends Message['kind']>(
    kind: Kind,
    fits: (message: MessageOf<Kind>) => boolean = () => true,
    { patience = 60, from = 0 } = {},
  ): Promise<MessageOf<Kind>> {
    const end = performance.now() + 1000 * patience;
    for (;;) {
      const found = (await this.all(kind)).slice(from).find(fits);
      if (found) return found;
      if (performance.now() > end) {
        const troubles = this.said.flatMap((message) => (message.kind === 'trouble' ? [message.message] : []));
        const phase = this.said.findLast((message) => message.kind === 'status');
        throw new Error(`no ${kind} for which ${String(fits)} in ${patience} s; ${JSON.stringify({ troubles, phase })}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The next message of a kind that fits, after those there have been. */
  async next<Kind extends Message['kind']>(
    kind: Kind,
    fits?: (message: MessageOf<Kind>) => boolean,
    patience?: number,
  ): Promise<MessageOf<Kind>> {
    return this.until(kind, fits, { from: (await this.all(kind)).length, ...(patience !== undefined && { patience }) });
  }

  /** All steps that have been told of. */
  async steps(): Promise<MessageOf<'steps'>['steps']> {
    return (await this.all('steps')).flatMap(({ steps }) => steps);
  }

  /** Waits until it is at a step. */
  async reach(step: number, patience = 60): Promise<void> {
    await this.until('steps', ({ steps }) => steps.at(-1)!.step >= step, { patience });
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}
