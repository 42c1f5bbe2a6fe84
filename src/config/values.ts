/** The kinds of value that many settings share. */
import { z } from 'zod';

/** A file or folder. Relative paths start at the config file's folder; `credential:NAME` is systemd's credential. */
export const path = z.string().min(1);

export const seconds = (min: number, max: number) => z.number().min(min).max(max);
export const fraction = z.number().min(0).max(1);
