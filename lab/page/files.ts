/** Files that come by drop or by choice, and those that are handed out. */

const picture = /\.(png|jpe?g|webp|gif|bmp|avif|svg)$/i;
const run = /\.safetensors$/i;

export interface Given {
  readonly images: readonly File[];
  /** A class for each image, where the images lie in two or more folders. */
  readonly labels?: readonly string[];
  readonly run: File | null;
}

interface Placed {
  readonly file: File;
  /** Its folders, from the outermost. */
  readonly folders: readonly string[];
}

function sort(placed: readonly Placed[]): Given {
  const pictures = placed.filter(({ file }) => picture.test(file.name) || file.type.startsWith('image/'));
  // The first folder in which they part is the class; one that holds all of them says nothing.
  const depth = pictures.every(({ folders }) => folders[0] !== undefined && folders[0] === pictures[0]!.folders[0]) ? 1 : 0;
  const labels = pictures.map(({ folders }) => folders[depth] ?? '');
  const classes = new Set(labels);
  return {
    images: pictures.map(({ file }) => file),
    run: placed.find(({ file }) => run.test(file.name))?.file ?? null,
    ...(classes.size > 1 && !classes.has('') ? { labels } : {}),
  };
}

export const chosenFiles = (files: Iterable<File>): Given =>
  sort(Array.from(files, (file) => ({ file, folders: file.webkitRelativePath.split('/').slice(0, -1) })));

async function within(entry: FileSystemEntry, folders: readonly string[]): Promise<Placed[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ file, folders }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Placed[] = [];
  // A reader gives some entries at a time, and none when there are no more.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return found;
    for (const each of entries) found.push(...(await within(each, [...folders, entry.name])));
  }
}

/** What was dropped, folders and all. */
export async function droppedFiles(transfer: DataTransfer): Promise<Given> {
  // Asked for at once: after the event the list is empty.
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.() ?? null).filter((entry) => entry !== null);
  if (entries.length === 0) return chosenFiles(transfer.files);
  return sort((await Promise.all(entries.map((entry) => within(entry, [])))).flat());
}

/** Hands out a file. */
export function download(name: string, bytes: Uint8Array): void {
  // A copy, in memory that is not shared, which is what a blob takes.
  const address = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
