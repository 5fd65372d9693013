/* SPDX-License-Identifier: MIT
 *
 * seccomp.c - refuses with EPERM: typing into a terminal (TIOCSTI, TIOCLINUX: compared in their low 32 bits, as the
 * kernel does), the kernel's keyrings, which no namespace divides, and kernel interfaces that a sandbox has no use for
 * and that have been ways out. Calls of a foreign architecture, which would pass by the numbers here, are ENOSYS.
 */
#include "plugins/local/seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

#define X32_BIT 0x40000000u

static const uint32_t refused[] = {
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    425, /* io_uring_setup, io_uring_enter, io_uring_register: one number on every architecture */
    426,
    427,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_open_by_handle_at,
};
enum { REFUSED = sizeof refused / sizeof refused[0] };

static struct sock_filter load(size_t offset)
{
    return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static struct sock_filter answer(uint32_t value)
{
    return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value);
}

static struct sock_filter equal(uint32_t value, size_t yes, size_t no)
{
    return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (uint8_t)yes, (uint8_t)no);
}

size_t seccomp_build(void *out)
{
#ifdef NATIVE_ARCH
    struct sock_filter code[SECCOMP_MAX];
    size_t n = 0;
    code[n++] = load(offsetof(struct seccomp_data, arch));
    code[n++] = equal(NATIVE_ARCH, 1, 0);
    code[n++] = answer(SECCOMP_RET_ERRNO | ENOSYS);
    code[n++] = load(offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    code[n++] = answer(SECCOMP_RET_ERRNO | ENOSYS);
#endif
    code[n++] = equal(SYS_ioctl, REFUSED + 1, 0);
    for (size_t i = 0; i < REFUSED; i++)
        code[n++] = equal(refused[i], REFUSED - i + 4, 0);
    code[n++] = answer(SECCOMP_RET_ALLOW);
    code[n++] = load(offsetof(struct seccomp_data, args[1])); /* little-endian: the low half */
    code[n++] = equal(TIOCSTI, 2, 0);
    code[n++] = equal(TIOCLINUX, 1, 0);
    code[n++] = answer(SECCOMP_RET_ALLOW);
    code[n++] = answer(SECCOMP_RET_ERRNO | EPERM);
    memcpy(out, code, n * sizeof code[0]);
    return n * sizeof code[0];
#else
    (void)out;
    return 0;
#endif
}
