/** Who draws the cloud: WebGL by OGL, or a canvas without it. Both see a scene through the same lens, by which the page also finds what is pointed at. */
import { Geometry, Mesh, Program, Renderer, Texture } from 'ogl';

export interface Atlas {
  readonly image: HTMLCanvasElement;
  readonly columns: number;
  readonly rows: number;
}

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
  /** [3, 3] by rows, and how near. */
  readonly turn: readonly number[];
  readonly zoom: number;
  /** The points as they were and as they will be, [n, 3], and how far from one to the other. */
  readonly from: Float32Array;
  readonly to: Float32Array;
  readonly time: number;
  /** What of the points' space is 1 here. */
  readonly extent: number;
  /** [n, 3] and [n]: 1, or less for what stands back. */
  readonly colours: Float32Array;
  readonly presence: Float32Array;
  /** A point's width, in CSS pixels. */
  readonly size: number;
  /** Lines for orientation, pairs of ends [m, 2, 3], in the points' space. */
  readonly guide: Float32Array;
  readonly guideColour: readonly number[];
  readonly paper: readonly number[];
  /** Pictures are drawn in the place of points, if there are any. */
  readonly atlas: Atlas | null;
  /** Of points or colours, whether they are others than those that were drawn before. */
  readonly changed: boolean;
}

export interface Painter {
  draw(scene: Scene): void;
  dispose(): void;
}

const distance = 3.4;
const focal = 0.92 * Math.sqrt(distance * distance - 1);

/** Where a point is seen: CSS pixels, how near it is (1 in the middle), and its depth from -1 (far) to 1. */
export function project(scene: Scene, x: number, y: number, z: number): [x: number, y: number, near: number, depth: number] {
  const { turn, extent, zoom, width, height } = scene;
  const [a, b, c] = [x / extent, y / extent, z / extent];
  const right = turn[0]! * a + turn[1]! * b + turn[2]! * c;
  const up = turn[3]! * a + turn[4]! * b + turn[5]! * c;
  const towards = turn[6]! * a + turn[7]! * b + turn[8]! * c;
  const away = Math.max(0.2, distance - towards);
  const unit = ((Math.min(width, height) / 2) * focal * zoom) / away;
  return [width / 2 + unit * right, height / 2 - unit * up, distance / away, towards];
}

/** The i-th point of a scene, on its way. */
export function pointOf(scene: Scene, i: number): [number, number, number] {
  const { from, to, time } = scene;
  const at = (axis: number) => from[3 * i + axis]! + (to[3 * i + axis]! - from[3 * i + axis]!) * time;
  return [at(0), at(1), at(2)];
}

const lens = /* glsl */ `
  uniform mat3 turn;
  uniform vec2 aspect;
  uniform float extent, zoom, ratio;
  float towards;
  vec4 seen(vec3 point) {
    vec3 turned = (point / extent) * turn;
    towards = turned.z;
    float away = max(.2, ${distance.toFixed(3)} - turned.z);
    float depth = clamp((away - ${distance.toFixed(3)}) * .4, -1., 1.);
    return vec4(turned.xy * aspect * ${focal.toFixed(5)} * zoom, depth * away, away);
  }`;

const pointVertex = /* glsl */ `
  attribute vec3 position, from, colour;
  attribute float presence, order;
  uniform float time, size;
  varying vec3 tint;
  varying float present, near, number;
  ${lens}
  void main() {
    gl_Position = seen(mix(from, position, time));
    near = towards;
    gl_PointSize = size * ratio * zoom * ${distance.toFixed(3)} / gl_Position.w;
    tint = colour;
    present = presence;
    number = order;
  }`;

const pointFragment = /* glsl */ `
  precision highp float;
  uniform sampler2D atlas;
  uniform vec2 grid;
  uniform vec3 paper;
  varying vec3 tint;
  varying float present, near, number;
  void main() {
    vec3 colour = tint;
    float alpha = present;
    if (grid.x > 0.) {
      vec2 cell = vec2(mod(number, grid.x), floor(number / grid.x));
      float edge = max(abs(gl_PointCoord.x - .5), abs(gl_PointCoord.y - .5));
      if (edge < .44) colour = texture2D(atlas, (cell + (gl_PointCoord - .5) / .88 + .5) / grid).rgb;
    } else {
      float radius = length(gl_PointCoord - .5);
      if (radius > .5) discard;
      alpha *= smoothstep(.5, .42, radius);
    }
    // What is far fades into the paper.
    colour = mix(colour, paper, clamp(.35 - .4 * near, 0., .65));
    gl_FragColor = vec4(colour, alpha);
  }`;

const lineVertex = /* glsl */ `
  attribute vec3 position;
  ${lens}
  void main() { gl_Position = seen(position); }`;

const lineFragment = /* glsl */ `
  precision highp float;
  uniform vec3 colour;
  void main() { gl_FragColor = vec4(colour, 1.); }`;

/** Whether there is WebGL, and no processor that plays it: that takes longer than drawing without it, from a training that needs the time. */
function drawnByGpu(): boolean {
  const context = document.createElement('canvas').getContext('webgl2');
  if (!context) return false;
  const names = context.getExtension('WEBGL_debug_renderer_info');
  const name: unknown = names ? context.getParameter(names.UNMASKED_RENDERER_WEBGL) : '';
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return !/swiftshader|llvmpipe|softpipe|basic render/i.test(String(name));
}

/** By WebGL, or null where no GPU does that; `lost` is called when it goes away. */
export function glPainter(canvas: HTMLCanvasElement, lost: () => void): Painter | null {
  if (!drawnByGpu() || !canvas.getContext('webgl2', { alpha: true, antialias: true, premultipliedAlpha: false })) return null;
  const renderer = new Renderer({ canvas, alpha: true, antialias: true, premultipliedAlpha: false });
  const { gl } = renderer;
  const blank = new Texture(gl, { image: new Uint8Array(4), width: 1, height: 1, generateMipmaps: false });
  const view = {
    turn: { value: new Float32Array(9) },
    aspect: { value: [1, 1] },
    extent: { value: 1 },
    zoom: { value: 1 },
    ratio: { value: 1 },
  };
  const uniforms = {
    ...view,
    time: { value: 0 },
    size: { value: 1 },
    paper: { value: [1, 1, 1] as readonly number[] },
    atlas: { value: blank },
    grid: { value: [0, 0] },
  };
  const lineUniforms = { ...view, colour: { value: [0, 0, 0] as readonly number[] } };
  const program = new Program(gl, { vertex: pointVertex, fragment: pointFragment, uniforms, transparent: true, cullFace: false });
  const lineProgram = new Program(gl, { vertex: lineVertex, fragment: lineFragment, uniforms: lineUniforms, cullFace: false });
  let points: Mesh | null = null;
  let lines: Mesh | null = null;
  let texture: { readonly of: Atlas; readonly texture: Texture } | null = null;
  const goes = (event: Event): void => {
    event.preventDefault();
    lost();
  };
  canvas.addEventListener('webglcontextlost', goes);

  const mesh = (scene: Scene): Mesh => {
    const count = scene.colours.length / 3;
    const geometry = new Geometry(gl, {
      position: { size: 3, data: new Float32Array(3 * count) },
      from: { size: 3, data: new Float32Array(3 * count) },
      colour: { size: 3, data: new Float32Array(3 * count) },
      presence: { size: 1, data: new Float32Array(count) },
      order: { size: 1, data: Float32Array.from({ length: count }, (_, i) => i) },
    });
    return new Mesh(gl, { mode: gl.POINTS, geometry, program, frustumCulled: false });
  };

  return {
    draw(scene) {
      const { width, height, ratio } = scene;
      if (renderer.width !== width || renderer.height !== height || renderer.dpr !== ratio) {
        renderer.dpr = ratio;
        renderer.setSize(width, height);
      }
      const half = Math.min(width, height);
      view.turn.value.set(scene.turn);
      view.aspect.value = [half / width, half / height];
      [view.extent.value, view.zoom.value, view.ratio.value] = [scene.extent, scene.zoom, ratio];
      [uniforms.time.value, uniforms.size.value, uniforms.paper.value] = [scene.time, scene.size, scene.paper];
      lineUniforms.colour.value = scene.guideColour;
      if (scene.atlas !== (texture?.of ?? null)) {
        if (texture) gl.deleteTexture(texture.texture.texture);
        texture = scene.atlas && {
          of: scene.atlas,
          texture: new Texture(gl, { image: scene.atlas.image, generateMipmaps: false, flipY: false }),
        };
      }
      uniforms.atlas.value = texture?.texture ?? blank;
      uniforms.grid.value = scene.atlas ? [scene.atlas.columns, scene.atlas.rows] : [0, 0];
      const another = points?.geometry.attributes['order']?.data?.length !== scene.presence.length;
      if (another) {
        points?.geometry.remove();
        points = mesh(scene);
      }
      if (another || scene.changed) {
        const { attributes } = points!.geometry;
        for (const [name, data] of Object.entries({
          position: scene.to,
          from: scene.from,
          colour: scene.colours,
          presence: scene.presence,
        })) {
          const attribute = attributes[name]!;
          (attribute.data as Float32Array).set(data);
          attribute.needsUpdate = true;
        }
        lines?.geometry.remove();
        lines =
          scene.guide.length === 0
            ? null
            : new Mesh(gl, {
                mode: gl.LINES,
                geometry: new Geometry(gl, { position: { size: 3, data: scene.guide } }),
                program: lineProgram,
                frustumCulled: false,
              });
      }
      renderer.render({ scene: points!, clear: true });
      if (lines) {
        renderer.autoClear = false;
        renderer.render({ scene: lines, clear: false });
        renderer.autoClear = true;
      }
    },
    dispose() {
      canvas.removeEventListener('webglcontextlost', goes);
      // The browser has but few contexts to give.
      gl.getExtension('WEBGL_lose_context')?.loseContext();
    },
  };
}

/** Without WebGL: farther points first. */
export function flatPainter(canvas: HTMLCanvasElement): Painter {
  const context = canvas.getContext('2d')!;
  const css = (colour: readonly number[], fade: number, paper: readonly number[]): string =>
    `rgb(${colour.map((each, i) => Math.round(255 * (each + (paper[i]! - each) * fade))).join(' ')})`;
  return {
    draw(scene) {
      const { width, height, ratio, guide, paper, atlas } = scene;
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.strokeStyle = css(scene.guideColour, 0, paper);
      context.beginPath();
      for (let i = 0; i < guide.length; i += 6) {
        context.moveTo(...(project(scene, guide[i]!, guide[i + 1]!, guide[i + 2]!).slice(0, 2) as [number, number]));
        context.lineTo(...(project(scene, guide[i + 3]!, guide[i + 4]!, guide[i + 5]!).slice(0, 2) as [number, number]));
      }
      context.stroke();
      const seen = Array.from(scene.presence, (_, i) => ({ i, at: project(scene, ...pointOf(scene, i)) }));
      seen.sort((a, b) => a.at[3] - b.at[3]);
      for (const { i, at } of seen) {
        const [x, y, near, depth] = at;
        const size = scene.size * near * scene.zoom;
        context.globalAlpha = scene.presence[i]!;
        context.fillStyle = css([...scene.colours.subarray(3 * i, 3 * i + 3)], Math.min(0.65, Math.max(0, 0.35 - 0.4 * depth)), paper);
        if (atlas) {
          const [w, h] = [atlas.image.width / atlas.columns, atlas.image.height / atlas.rows];
          context.fillRect(x - size / 2, y - size / 2, size, size);
          const inner = 0.88 * size;
          context.drawImage(
            atlas.image,
            (i % atlas.columns) * w,
            Math.floor(i / atlas.columns) * h,
            w,
            h,
            x - inner / 2,
            y - inner / 2,
            inner,
            inner,
          );
        } else {
          context.beginPath();
          context.arc(x, y, size / 2, 0, 2 * Math.PI);
          context.fill();
        }
      }
      context.globalAlpha = 1;
    },
    dispose() {
      context.clearRect(0, 0, canvas.width, canvas.height);
    },
  };
}
