/** Those who come by: what they look like, which way they take and how long that lasts. */

import type { Random } from '../runtime/random.ts';
import type { Canvas } from './canvas.ts';
import { drawCar, someCar } from './car.ts';
import { drawCat, someCat } from './cat.ts';
import { headingAlong, type Path, pathLength, pointAlong } from './path.ts';
import { drawPerson, somebody } from './person.ts';
import type { Place } from './place.ts';
import type { Viewpoint } from './viewpoint.ts';

export type ActorLabel = 'person' | 'car' | 'cat';

export interface Actor {
  label: ActorLabel;
  /** Milliseconds from entering to having left. */
  duration: number;
  /** Distance from the camera `time` ms after entering. */
  distance(time: number): number;
  draw(canvas: Canvas, time: number): void;
}

/** Nobody takes longer than this to come and go. */
export const LONGEST = 14_500;

export function makeActor(label: ActorLabel, place: Place, view: Viewpoint, random: Random): Actor {
  if (label === 'person') return makePerson(place, view, random);
  if (label === 'cat') return makeCat(view, random);
  return makeCar(place, view, random);
}

function makePerson(place: Place, view: Viewpoint, random: Random): Actor {
  const look = somebody(random);
  const from = random.chance(0.5) ? 1 : -1;
  const walk = place.pavement + random.range(0.4, 1.1);
  const beyond = (z: number) => view.halfWidth(z) + 0.6;
  const door = place.drive.x + random.range(-0.7, 0.7);
  const lawn = random.range(4.5, 9);
  const path = random.pick<() => Path>([
    () => [
      [-from * beyond(walk), walk],
      [from * beyond(walk), walk],
    ],
    () => [
      [-from * beyond(lawn), lawn],
      [from * beyond(lawn + 1), lawn + random.range(-1, 1)],
    ],
    () => [
      [-from * beyond(walk), walk],
      [door, walk],
      [door, 0.9],
    ],
    () => [
      [door, 0.9],
      [door, walk],
      [from * beyond(walk), walk],
    ],
  ])();
  const length = pathLength(path);
  const speed = Math.max(random.range(1.2, 1.6), length / (LONGEST / 1000));
  return {
    label: 'person',
    duration: (length / speed) * 1000,
    distance: (time) => pointAlong(path, (time / 1000) * speed)[1],
    draw(canvas, time) {
      const way = (time / 1000) * speed;
      const [x, z] = pointAlong(path, way);
      const heading = headingAlong(path, way, 0.25);
      const step = (way / look.height) * 7.4;
      drawPerson(canvas, view, look, {
        x,
        z,
        across: Math.cos(heading),
        step,
        facing: Math.sin(heading) < 0.1,
      });
    },
  };
}

function makeCat(view: Viewpoint, random: Random): Actor {
  const look = someCat(random);
  const direction = random.chance(0.5) ? 1 : -1;
  const z0 = random.range(3.9, 6.2);
  const z1 = Math.max(3.9, z0 + random.range(-0.8, 0.8));
  const path: Path = [
    [-direction * (view.halfWidth(z0) + 0.6), z0],
    [direction * (view.halfWidth(z1) + 0.6), z1],
  ];
  const length = pathLength(path);
  const pause = random.chance(0.4) ? random.range(0.5, 1.5) : 0;
  const speed = Math.max(random.range(0.75, 1.1), length / (LONGEST / 1000 - pause));
  const pauseAt = random.range(0.3, 0.7) * (length / speed);
  const wayAt = (time: number) => {
    const seconds = time / 1000;
    return speed * (Math.min(seconds, pauseAt) + Math.max(0, seconds - pauseAt - pause));
  };
  return {
    label: 'cat',
    duration: (length / speed + pause) * 1000,
    distance: (time) => pointAlong(path, wayAt(time))[1],
    draw(canvas, time) {
      const [x, z] = pointAlong(path, wayAt(time));
      drawCat(canvas, view, look, { x, z, direction, step: wayAt(time) * 15 });
    },
  };
}

function makeCar(place: Place, view: Viewpoint, random: Random): Actor {
  const look = someCar(random);
  const from = random.chance(0.5) ? 1 : -1;
  // Traffic keeps to the right: coming from the left it is on the near lane.
  const lane = from < 0 ? place.kerb + 1.7 : place.farKerb - 1.7;
  const edge = view.halfWidth(lane + 1) + 2.6;
  const visits = random.chance(0.6);
  const stop = random.range(6.2, 7.6);
  const path: Path = visits
    ? [[from * edge, lane], ...bend(place.drive.x, lane, from, 3.6), [place.drive.x, stop]]
    : [
        [from * edge, lane],
        [-from * edge, lane],
      ];
  const length = pathLength(path);
  const seconds = visits ? random.range(5, 6) : random.range(4.2, 6.5);
  const wait = visits ? random.range(1, 2.2) : 0;
  const leave = seconds * 1.15;
  /** A visitor slows down, waits, and goes back the way it came. */
  const wayAt = (time: number) => {
    const s = time / 1000;
    if (!visits) return (length * s) / seconds;
    if (s < seconds) return length * easeOut(s / seconds);
    return length * easeOut(Math.max(0, 1 - Math.max(0, s - seconds - wait) / leave));
  };
  return {
    label: 'car',
    duration: (visits ? seconds + wait + leave : seconds) * 1000,
    distance: (time) => pointAlong(path, wayAt(time))[1],
    draw(canvas, time) {
      const way = wayAt(time);
      const [x, z] = pointAlong(path, way);
      drawCar(canvas, view, look, { x, z, heading: headingAlong(path, way, 0.8) });
    },
  };
}

/** A quarter circle from a lane into the drive. */
function bend(x: number, lane: number, from: number, radius: number): [number, number][] {
  return Array.from({ length: 10 }, (_, i) => {
    const turn = ((i / 9) * Math.PI) / 2;
    return [x + from * radius * (1 - Math.sin(turn)), lane - radius * (1 - Math.cos(turn))];
  });
}

/** 0…1 → 0…1, fast at first. */
function easeOut(share: number): number {
  return 1 - (1 - share) ** 1.7;
}
