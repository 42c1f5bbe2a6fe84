/*
 * A file system (FUSE) that is mounted on the folder in its first argument and answers nothing after that: whoever
 * looks into it hangs in the kernel, and once it is sent SIGKILL it is in state D, as with a device whose driver does
 * not answer. It says "ready" when it is mounted; when it ends, those that hang are let go.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int main(int count, char **arguments) {
  static char request[1 << 17];
  char options[128];
  int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
  if (count < 2 || device < 0 || mount("stuck", arguments[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
    perror("fuse");
    return 1;
  }
  while (read(device, request, sizeof request) > 0) {
    const struct fuse_in_header *header = (const void *)request;
    if (header->opcode != FUSE_INIT) continue;
    struct {
      struct fuse_out_header header;
      struct fuse_init_out init;
    } answer;
    memset(&answer, 0, sizeof answer);
    answer.header.len = sizeof answer;
    answer.header.unique = header->unique;
    answer.init.major = FUSE_KERNEL_VERSION;
    answer.init.minor = FUSE_KERNEL_MINOR_VERSION;
    answer.init.max_write = 4096;
    if (write(device, &answer, sizeof answer) < 0) return 1;
    puts("ready");
    fflush(stdout);
  }
  return 0;
}
