// Where the system's locale is C, Chromium names a language that Intl refuses, and uPlot asks for it as it loads.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
}

export {};
