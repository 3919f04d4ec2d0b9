import './language.ts';
import './style.css';
import { type JSX, render } from 'preact';
import { connect } from '../training/client.ts';
import { readAddress } from './address.ts';
import { DropZone, Footer, Header, Notices } from './frame.tsx';
import { keepOffline } from './isolation.ts';
import { Lab } from './lab.tsx';
import { isLocale, locale } from './locale.ts';
import { at } from './route.ts';
import { begin, levers, notice, setting } from './state.ts';
import { enter, stops, Tour } from './tour.tsx';
import { Announcer } from './verdict.tsx';

function Page(): JSX.Element {
  return (
    <>
      <Header />
      <Notices />
      {at.value === 'lab' ? <Lab /> : <Tour stop={at.value} />}
      <Footer />
      <Announcer />
      <DropZone />
    </>
  );
}

/** Goes where the address says. What a link has set holds; a stop without such words begins as it is meant to. */
function arrive(): void {
  const address = readAddress(location.hash, stops.length);
  if (isLocale(address.locale)) locale.value = address.locale;
  if (address.refused.length > 0) notice('badLink', address.refused.join(', '));
  const moved = at.value !== address.at;
  at.value = address.at;
  if (begun) {
    if (typeof address.at === 'number' && moved) enter(address.at);
    if (moved) {
      scrollTo(0, 0);
      document.getElementById('content')?.focus({ preventScroll: true });
    }
    return;
  }
  setting.value = address.setting;
  levers.value = address.levers;
  if (typeof address.at === 'number' && !address.given) {
    const stop = stops[address.at - 1]!;
    setting.value = { ...setting.value, ...stop.setting };
    levers.value = { ...levers.value, ...stop.levers };
  }
}

let begun = false;
arrive();
render(<Page />, document.getElementById('page')!);
begin(connect(), new URL('images.safetensors.gz', document.baseURI).href);
begun = true;
addEventListener('hashchange', arrive);
keepOffline();
