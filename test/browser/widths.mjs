/** How wide each page, as HTML, is laid out in windows of some widths: `name at width: what it takes, how many headings of the first rank`. */
export async function widths({ pages, windows }) {
  const measured = [];
  for (const [name, text] of Object.entries(pages))
    for (const width of windows) {
      const frame = document.createElement('iframe');
      // Higher than any page, so that no scroll bar takes of the width.
      Object.assign(frame, { width, height: 50_000, srcdoc: text });
      frame.style.border = '0';
      const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
      document.body.append(frame);
      await loaded;
      const shown = frame.contentDocument;
      measured.push(`${name} at ${width}: ${shown.documentElement.scrollWidth}, ${shown.querySelectorAll('h1').length}`);
      frame.remove();
    }
  return measured;
}
