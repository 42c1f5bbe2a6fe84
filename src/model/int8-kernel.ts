/**
 * Chooses ONNX Runtime's kernel for int8 models.
 *
 * A quantised MobileNet multiplies uint8 by int8. On x86 processors with AVX2 but without VNNI, ONNX Runtime adds pairs of
 * these products in 16 bits and clips sums that do not fit (`vpmaddubsw`; mlas/lib/platform.cpp chooses the kernel for each
 * processor): scores are wrong then. uint8 weights have a kernel that adds in 32 bits: exact, but slower.
 * model/exact/make-exact.ts finds the weights that need it and avoids it for most. All other kernels are exact: with VNNI,
 * before AVX2, and on ARM.
 */

import { type Processor, thisProcessor } from '../board/processor.ts';
import type { ModelConfig } from '../config/schema.ts';

export type Exact = ModelConfig['exact'];

export interface Int8Kernel {
  /**
   * `standard`: ONNX Runtime's default, which is exact on this processor; `exact`: the kernel that Lookout requests instead;
   * `saturating`: ONNX Runtime's default, which clips sums on this processor.
   */
  name: 'standard' | 'exact' | 'saturating';
  reason: string;
}

/** @param exact `model.exact` */
export function int8Kernel(exact: Exact, processor: Processor = thisProcessor()): Int8Kernel {
  const { saturates, because } = ownKernel(processor);
  if (saturates && exact === 'never') {
    return { name: 'saturating', reason: `model.exact is never, and ${because}` };
  }
  if (saturates) return { name: 'exact', reason: because };
  if (exact === 'always' && processor.flags?.has('avx2')) {
    return { name: 'exact', reason: 'model.exact is always' };
  }
  return { name: 'standard', reason: `exact here, because ${because}` };
}

/** For example `exact int8 kernel: this processor lacks VNNI`. */
export function describeKernel({ name, reason }: Int8Kernel): string {
  return `${name} int8 kernel: ${reason}`;
}

/** Whether ONNX Runtime's default kernel clips sums, and why. */
function ownKernel({ architecture, flags }: Processor): { saturates: boolean; because: string } {
  if (architecture !== 'x64') return { saturates: false, because: `this processor is ${architecture}` };
  if (!flags) return { saturates: true, because: 'the features of this processor are unknown' };
  if (!flags.has('avx2') || !flags.has('fma')) {
    return { saturates: false, because: 'this processor lacks AVX2' };
  }
  // With AVX-512 the AVX form of VNNI is not used. Only virtual machines hide one and show the other.
  const wide = ['avx512f', 'avx512bw', 'avx512dq', 'avx512vl'].every((flag) => flags.has(flag));
  const vnni = wide ? 'avx512_vnni' : 'avx_vnni';
  return flags.has(vnni)
    ? { saturates: false, because: 'this processor has VNNI' }
    : { saturates: true, because: 'this processor lacks VNNI' };
}
