/*
 * Loaded into a process by LD_PRELOAD, this hides AVX-512, VNNI and AMX from it: what asks the processor itself (CPUID)
 * or the kernel (/proc/cpuinfo) finds an x86 processor with AVX2 and nothing newer, so ONNX Runtime chooses the kernels
 * of those. The instructions still work; nobody tries them.
 *
 * The processor must be able to forbid CPUID (`cpuid_fault` in /proc/cpuinfo; arch_prctl(2), ARCH_SET_CPUID). Each CPUID
 * is then a SIGSEGV, whose handler asks for the real answer and takes bits from it. The prohibition belongs to a thread,
 * and passes to those that it starts. Handlers that the program itself has for SIGSEGV (Node.js: WebAssembly) get what
 * is not CPUID's.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012
#define BIT(number) (1u << (number))

static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);
static int (*real_open)(const char *, int, ...);
/* What the program itself wants done about SIGSEGV. */
static struct sigaction theirs;

/* What CPUID answers here. Bits: Intel's Software Developer's Manual, volume 2A, table 3-17. */
static void masked_cpuid(unsigned leaf, unsigned subleaf, unsigned *answer) {
  __cpuid_count(leaf, subleaf, answer[0], answer[1], answer[2], answer[3]);
  if (leaf != 7) return;
  if (subleaf == 0) {
    /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
    answer[1] &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
    /* AVX-512 VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
    answer[2] &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
    /* AVX-512 4VNNIW, 4FMAPS, VP2INTERSECT, FP16; AMX BF16, TILE, INT8 */
    answer[3] &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(23) | BIT(22) | BIT(24) | BIT(25));
  } else if (subleaf == 1) {
    /* AVX-VNNI, AVX-512 BF16, AMX FP16, AVX-IFMA; AVX-VNNI-INT8, AVX-NE-CONVERT, AMX COMPLEX, AVX-VNNI-INT16, AVX10 */
    answer[0] &= ~(BIT(4) | BIT(5) | BIT(21) | BIT(23));
    answer[3] &= ~(BIT(4) | BIT(5) | BIT(8) | BIT(10) | BIT(19));
  }
}

static void forbid_cpuid(int forbidden) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, !forbidden); }

static void on_fault(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)registers[REG_RIP];
  if (info->si_code == SI_KERNEL && code[0] == 0x0f && code[1] == 0xa2) {
    unsigned answer[4];
    forbid_cpuid(0);
    masked_cpuid(registers[REG_RAX], registers[REG_RCX], answer);
    forbid_cpuid(1);
    registers[REG_RAX] = answer[0];
    registers[REG_RBX] = answer[1];
    registers[REG_RCX] = answer[2];
    registers[REG_RDX] = answer[3];
    registers[REG_RIP] += 2;
  } else if (theirs.sa_flags & SA_SIGINFO) {
    theirs.sa_sigaction(signal, info, context);
  } else if (theirs.sa_handler != SIG_DFL && theirs.sa_handler != SIG_IGN) {
    theirs.sa_handler(signal);
  } else {
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    real_sigaction(signal, &fatal, NULL);
    raise(signal);
  }
}

__attribute__((constructor)) static void begin(void) {
  real_sigaction = dlsym(RTLD_NEXT, "sigaction");
  real_open = dlsym(RTLD_NEXT, "open64");
  struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
  real_sigaction(SIGSEGV, &ours, &theirs);
  forbid_cpuid(1);
}

int sigaction(int signal, const struct sigaction *wanted, struct sigaction *before) {
  if (signal != SIGSEGV) return real_sigaction(signal, wanted, before);
  struct sigaction current = theirs;
  if (wanted) theirs = *wanted;
  if (before) *before = current;
  return 0;
}

static int is_hidden(const char *flag) {
  return strncmp(flag, "avx512", 6) == 0 || strncmp(flag, "amx_", 4) == 0 || strcmp(flag, "avx_vnni") == 0 ||
         strcmp(flag, "avx_vnni_int8") == 0 || strcmp(flag, "avx_vnni_int16") == 0 || strcmp(flag, "avx_ifma") == 0;
}

/* /proc/cpuinfo without those flags. */
static int open_cpuinfo(const char *path) {
  int from = real_open(path, O_RDONLY | O_CLOEXEC);
  int to = memfd_create("cpuinfo", MFD_CLOEXEC);
  FILE *text = fdopen(from, "r");
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, text) > 0) {
    if (strncmp(line, "flags", 5) != 0) {
      dprintf(to, "%s", line);
      continue;
    }
    char *rest = strchr(line, ':'), *flag;
    dprintf(to, "flags\t\t:");
    for (flag = strtok_r(rest + 1, " \n", &rest); flag; flag = strtok_r(NULL, " \n", &rest)) {
      if (!is_hidden(flag)) dprintf(to, " %s", flag);
    }
    dprintf(to, "\n");
  }
  free(line);
  fclose(text);
  lseek(to, 0, SEEK_SET);
  return to;
}

static int open_masked(const char *path, int flags, mode_t mode) {
  return strcmp(path, "/proc/cpuinfo") == 0 ? open_cpuinfo(path) : real_open(path, flags, mode);
}

#define MODE(flags)                                                                                                    \
  mode_t mode = 0;                                                                                                     \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                               \
    va_list list;                                                                                                      \
    va_start(list, flags);                                                                                             \
    mode = va_arg(list, mode_t);                                                                                       \
    va_end(list);                                                                                                      \
  }

int open64(const char *path, int flags, ...) {
  MODE(flags)
  return open_masked(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  MODE(flags)
  return open_masked(path, flags, mode);
}
