import { effect, useSignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { atlas, imageData } from '../images.ts';
import { dark, number, percent, still, texts } from '../locale.ts';
import { classColour, rgb, styled } from '../palette.ts';
import { batch, choose, cloud, data, status } from '../state.ts';
import { classNameOf } from './curves.tsx';
import { Figure, Table, Waiting } from './figure.tsx';
import { flatPainter, glPainter, type Painter, pointOf, project, type Scene } from './painters.ts';

/** How long points are on their way from one picture of the embedding to the next. */
const journey = 350;

const circle = (axis: 0 | 1 | 2): number[] => {
  const points: number[] = [];
  const sides = 72;
  const at = (i: number): number[] => {
    const [a, b] = [Math.cos((2 * Math.PI * i) / sides), Math.sin((2 * Math.PI * i) / sides)];
    return axis === 0 ? [0, a, b] : axis === 1 ? [a, 0, b] : [a, b, 0];
  };
  for (let i = 0; i < sides; i++) points.push(...at(i), ...at(i + 1));
  return points;
};
const sphere = new Float32Array([...circle(0), ...circle(1), ...circle(2)]);
const cross = (arm: number): Float32Array => new Float32Array([-arm, 0, 0, arm, 0, 0, 0, -arm, 0, 0, arm, 0, 0, 0, -arm, 0, 0, arm]);

/** The radius within which nearly all points are. */
function reach(points: Float32Array): number {
  const radii = Array.from({ length: points.length / 3 }, (_, i) => Math.hypot(points[3 * i]!, points[3 * i + 1]!, points[3 * i + 2]!));
  radii.sort((a, b) => a - b);
  const radius = radii[Math.floor(0.97 * (radii.length - 1))] ?? 0;
  return Number.isFinite(radius) ? radius : 0;
}

/** What a cloud is seen like, and what moves it: apart from the page's tree, since it is drawn with each frame. */
class View {
  yaw = 0.5;
  pitch = 0.35;
  zoom = 1;
  extent = 1;
  pictures = false;
  only: number | null = null;
  /** Which point is pointed at, or -1. */
  pointed = -1;
  #painter: Painter | null = null;
  #from: Float32Array = new Float32Array();
  #to: Float32Array = new Float32Array();
  #began = 0;
  #colours: Float32Array = new Float32Array();
  #presence: Float32Array = new Float32Array();
  #changed = true;
  #atlas: Scene['atlas'] = null;
  #frame = 0;
  #before = 0;
  #slow = 0;
  #lately = 0;
  #ratio = Math.min(2, devicePixelRatio);
  #visible = true;
  held = false;
  readonly #place: HTMLElement;
  readonly #flat: () => void;

  constructor(place: HTMLElement, flat: () => void) {
    this.#place = place;
    this.#flat = flat;
    const canvas = this.#canvas();
    this.#painter = glPainter(canvas, () => this.#goFlat());
    if (!this.#painter) this.#goFlat();
  }

  #canvas(): HTMLCanvasElement {
    const canvas = document.createElement('canvas');
    canvas.setAttribute('aria-hidden', 'true');
    this.#place.prepend(canvas);
    return canvas;
  }

  /** WebGL is missing, or was lost. */
  #goFlat(): void {
    this.#place.querySelector('canvas')?.remove();
    this.#painter = flatPainter(this.#canvas());
    this.#changed = true;
    this.#flat();
    this.wake();
  }

  /** Another picture of the embedding: points go there from where they are. */
  show(points: Float32Array, farther: number): void {
    if (this.#to.length === points.length) {
      const scene = this.scene(performance.now());
      const from = new Float32Array(points.length);
      for (let i = 0; i < points.length / 3; i++) from.set(pointOf(scene, i), 3 * i);
      this.#from = from;
    } else this.#from = points;
    this.#to = points;
    this.#began = performance.now();
    this.extent = Math.max(this.extent, farther);
    this.#changed = true;
    this.wake();
  }

  paint(colours: Float32Array, presence: Float32Array, pictures: Scene['atlas']): void {
    [this.#colours, this.#presence, this.#atlas, this.#changed] = [colours, presence, pictures, true];
    this.wake();
  }

  set visible(value: boolean) {
    this.#visible = value;
    if (value) this.wake();
  }

  scene(now: number): Scene {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const passed = still.peek() ? 1 : Math.min(1, (now - this.#began) / journey);
    const { geometry } = cloud.peek() ?? { geometry: 'space' };
    return {
      width: Math.max(1, this.#place.clientWidth),
      height: Math.max(1, this.#place.clientHeight),
      ratio: this.#ratio,
      turn: [cy, 0, -sy, -sp * sy, cp, -sp * cy, cp * sy, sp, cp * cy],
      zoom: this.zoom,
      from: this.#from,
      to: this.#to,
      time: passed * (2 - passed),
      extent: this.extent,
      colours: this.#colours,
      presence: this.#presence,
      size: this.#atlas ? 26 : 7.5,
      guide: geometry === 'sphere' ? sphere : cross(batch.peek()?.gamma ?? 1),
      guideColour: rgb(styled('guide')),
      paper: rgb(styled('paper')),
      atlas: this.#atlas,
      changed: this.#changed,
    };
  }

  wake(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame((now) => this.#draw(now));
  }

  #draw(now: number): void {
    this.#frame = 0;
    if (!this.#visible || this.#colours.length !== this.#to.length || this.#to.length === 0) return;
    const passed = Math.min(100, now - this.#before);
    this.#before = now;
    const turning = !still.peek() && !this.held && this.pointed < 0 && status.peek()?.phase === 'running' && this.#slow < 2;
    if (turning) this.yaw += passed * 0.00008;
    const scene = this.scene(now);
    this.#painter?.draw(scene);
    this.#changed = false;
    if (turning || scene.time < 1) {
      this.#watch(passed);
      this.wake();
    }
  }

  /** Where frames take long, there are fewer pixels, and then no turning: the training and the page need the time more. */
  #watch(passed: number): void {
    this.#lately = 0.98 * this.#lately + 0.02 * passed;
    if (this.#lately > 28 && this.#slow < 2) {
      this.#slow += 1;
      this.#lately = 0;
      this.#ratio = 1;
    }
  }

  /** The point that is seen at a place of the picture, or -1. */
  at(x: number, y: number): number {
    const scene = this.scene(performance.now());
    let [best, least] = [-1, this.#atlas ? 16 : 12];
    for (let i = 0; i < this.#presence.length; i++) {
      if (this.#presence[i]! < 0.5) continue;
      const [px, py, near] = project(scene, ...pointOf(scene, i));
      const far = Math.hypot(px - x, py - y) - 2 * near;
      if (far < least) [best, least] = [i, far];
    }
    return best;
  }

  where(i: number): [number, number] {
    const scene = this.scene(performance.now());
    const [x, y] = project(scene, ...pointOf(scene, i));
    return [x, y];
  }

  forgetExtent(): void {
    this.extent = 1e-9;
  }

  dispose(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
    this.#painter?.dispose();
  }
}

/** A picture of those that are shown. */
export function Thumbnail({ image, size, edge }: { readonly image: number; readonly size: number; readonly edge?: boolean }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pictures = data.value?.shown;
  const label = data.value?.labels[image];
  useEffect(() => {
    if (!pictures || !canvas.current || image >= pictures.count) return;
    [canvas.current.width, canvas.current.height] = [pictures.width, pictures.height];
    canvas.current.getContext('2d')!.putImageData(imageData(pictures, image), 0, 0);
  }, [pictures, image]);
  const name = classNameOf(label);
  const words = name === null ? texts.value.imageNumber(image) : texts.value.imageOf(image, name);
  return (
    <canvas
      ref={canvas}
      class="thumbnail"
      role="img"
      aria-label={words}
      style={{ width: `${size}px`, height: `${size}px`, ...(edge && label !== undefined ? { borderColor: classColour(label) } : {}) }}
    />
  );
}

/** The mean of each class, how far from the middle, and how wide the class is. */
function classTable(): JSX.Element | null {
  const [{ points }, { classes, labels }] = [cloud.value!, data.value!];
  const { columns } = texts.value;
  const names = classes.length > 0 ? classes.map((_, label) => classNameOf(label)!) : [columns.noClass];
  const rows = names.map((name, label) => {
    const members = Array.from({ length: points.length / 3 }, (_, i) => i).filter((i) => classes.length === 0 || labels[i] === label);
    const centre = [0, 1, 2].map((axis) => members.reduce((sum, i) => sum + points[3 * i + axis]! / members.length, 0));
    const spread = Math.sqrt(
      members.reduce(
        (sum, i) => sum + centre.reduce((square, c, axis) => square + (points[3 * i + axis]! - c) ** 2, 0) / members.length,
        0,
      ),
    );
    return [name, String(members.length), number(Math.hypot(...centre)), number(spread)];
  });
  return <Table columns={[columns.class, columns.images, columns.distance, columns.spread]} rows={rows} />;
}

/** The embedding in three dimensions. */
export function Cloud({
  legend = true,
  quiet = false,
  pictures: pictured = false,
}: {
  readonly legend?: boolean;
  readonly quiet?: boolean;
  readonly pictures?: boolean;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<View | null>(null);
  const flat = useSignal(false);
  const pointed = useSignal(-1);
  const tip = useSignal<[number, number]>([0, 0]);
  const pictures = useSignal(pictured);
  const only = useSignal<number | null>(null);

  useEffect(() => {
    const element = place.current!;
    const made = new View(element, () => {
      flat.value = true;
    });
    view.current = made;
    const sizes = new ResizeObserver(() => made.wake());
    sizes.observe(element);
    const sights = new IntersectionObserver(([entry]) => {
      made.visible = entry!.isIntersecting;
    });
    sights.observe(element);
    const running = effect(() => {
      if (status.value?.phase === 'running') made.wake();
    });
    return () => {
      running();
      sizes.disconnect();
      sights.disconnect();
      made.dispose();
      element.querySelector('canvas')?.remove();
      view.current = null;
    };
  }, [flat, place]);

  // Colours, and what stands back.
  useSignalEffect(() => {
    const [known, shown, wanted, withPictures] = [data.value, cloud.value, only.value, pictures.value];
    dark.value;
    if (!shown) return;
    const count = shown.points.length / 3;
    const labels = known?.labels ?? new Uint8Array();
    const plain = rgb(styled('accent'));
    const colours = new Float32Array(3 * count);
    const presence = new Float32Array(count);
    const palette = Array.from({ length: 10 }, (_, label) => rgb(classColour(label)));
    for (let i = 0; i < count; i++) {
      const label = labels[i];
      colours.set(label === undefined || known?.classes.length === 0 ? plain : palette[label % 10]!, 3 * i);
      presence[i] = wanted === null || wanted === label ? 1 : 0.07;
    }
    const columns = Math.ceil(Math.sqrt(count));
    const sheet =
      withPictures && known && known.shown.count === count
        ? { image: atlas(known.shown, columns), columns, rows: Math.ceil(count / columns) }
        : null;
    view.current?.paint(colours, presence, sheet);
  });

  // Points; the picture is as wide as the widest cloud since the beginning, so that one that shrinks is seen to.
  const scale = useRef('');
  useSignalEffect(() => {
    const shown = cloud.value;
    if (!shown || !view.current) return;
    const kind = `${shown.geometry} ${status.peek()?.setting.method} ${status.peek()?.setting.seed} ${data.peek()?.name}`;
    if (scale.current !== kind || shown.step < 2) view.current.forgetExtent();
    scale.current = kind;
    const gamma = batch.peek()?.gamma ?? 1;
    view.current.show(shown.points, shown.geometry === 'sphere' ? 1 : Math.max(1.3 * gamma, reach(shown.points)));
  });

  const point = (i: number): void => {
    pointed.value = i;
    if (!view.current) return;
    view.current.pointed = i;
    if (i >= 0) tip.value = view.current.where(i);
    view.current.wake();
  };

  const grip = useRef<{ x: number; y: number; moved: number } | null>(null);
  const local = (event: PointerEvent): [number, number] => {
    const box = place.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const turn = (yaw: number, pitch: number): void => {
    const seen = view.current;
    if (!seen) return;
    seen.yaw += yaw;
    seen.pitch = Math.max(-1.5, Math.min(1.5, seen.pitch + pitch));
    seen.wake();
  };
  const magnify = (by: number): void => {
    if (!view.current) return;
    view.current.zoom = Math.max(0.5, Math.min(8, view.current.zoom * by));
    view.current.wake();
  };
  const count = cloud.value ? cloud.value.points.length / 3 : 0;
  const keys: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => turn(-0.15, 0),
    ArrowRight: () => turn(0.15, 0),
    ArrowUp: () => turn(0, -0.15),
    ArrowDown: () => turn(0, 0.15),
    '+': () => magnify(1.2),
    '=': () => magnify(1.2),
    '-': () => magnify(1 / 1.2),
    '.': () => point(count ? (pointed.value + 1) % count : -1),
    ',': () => point(count ? (pointed.value <= 0 ? count : pointed.value) - 1 : -1),
    Enter: () => pointed.value >= 0 && choose(pointed.value),
    Escape: () => point(-1),
  };

  const { cloudLabel, cloudHelp, cloudImages, noWebGl, spaceNote, sphereNote, classOnly, allClasses } = texts.value;
  const classes = data.value?.classes ?? [];
  const words = (i: number): string => {
    const name = classNameOf(data.value?.labels[i]);
    return name === null ? texts.value.imageNumber(i) : texts.value.imageOf(i, name);
  };
  return (
    <Figure
      name="cloud"
      quiet={quiet}
      {...(cloud.value && data.value ? { table: classTable } : {})}
      aside={cloud.value?.geometry === 'sphere' ? sphereNote : spaceNote}
    >
      <div
        ref={place}
        class="cloud"
        role="application"
        // It is one thing that is turned by keys, as a slider is.
        // biome-ignore lint/a11y/noNoninteractiveTabindex: as said.
        tabIndex={0}
        aria-label={`${cloud.value ? cloudLabel(count, percent(cloud.value.share)) : texts.value.waiting} ${cloudHelp}`}
        title=""
        onKeyDown={(event) => {
          const act = keys[event.key];
          if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
          event.preventDefault();
          act();
        }}
        onBlur={() => point(-1)}
        onPointerDown={(event) => {
          place.current!.setPointerCapture(event.pointerId);
          grip.current = { x: event.clientX, y: event.clientY, moved: 0 };
          if (view.current) view.current.held = true;
        }}
        onPointerMove={(event) => {
          const held = grip.current;
          if (held) {
            const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
            held.moved += Math.abs(dx) + Math.abs(dy);
            [held.x, held.y] = [event.clientX, event.clientY];
            turn(-dx * 0.008, dy * 0.008);
          } else point(view.current?.at(...local(event)) ?? -1);
        }}
        onPointerUp={(event) => {
          const clicked = (grip.current?.moved ?? 99) < 6;
          grip.current = null;
          if (view.current) view.current.held = false;
          if (!clicked) return;
          const at = view.current?.at(...local(event)) ?? -1;
          point(at);
          if (at >= 0) choose(at);
        }}
        onPointerLeave={() => point(-1)}
      >
        {!cloud.value && <Waiting />}
        {pointed.value >= 0 && pointed.value < count && (
          <span class="tip" style={{ left: `${tip.value[0]}px`, top: `${tip.value[1]}px` }}>
            <Thumbnail image={pointed.value} size={72} />
            <span>{words(pointed.value)}</span>
          </span>
        )}
      </div>
      <p class="unseen" aria-live="polite">
        {pointed.value >= 0 ? words(pointed.value) : ''}
      </p>
      {flat.value && <p class="small">{noWebGl}</p>}
      {legend && cloud.value && (
        <div class="legend">
          {classes.length > 0 && (
            <fieldset class="chips">
              <legend class="unseen">{classOnly}</legend>
              {classes.map((name, label) => (
                <button
                  key={name}
                  type="button"
                  class="chip"
                  aria-pressed={only.value === label}
                  onClick={() => {
                    only.value = only.value === label ? null : label;
                  }}
                >
                  <span class="dot" style={{ background: classColour(label) }} />
                  {classNameOf(label)}
                </button>
              ))}
              {only.value !== null && (
                <button
                  type="button"
                  class="chip"
                  onClick={() => {
                    only.value = null;
                  }}
                >
                  {allClasses}
                </button>
              )}
            </fieldset>
          )}
          <button
            type="button"
            class="chip draw"
            aria-pressed={pictures.value}
            onClick={() => {
              pictures.value = !pictures.value;
            }}
          >
            {cloudImages}
          </button>
        </div>
      )}
    </Figure>
  );
}
