/* The kernel floor: what the kernel alone needs to make the container that kist makes: the same
 * namespaces, mounts, capabilities and filter, then the command as the first process in it. No
 * checks, no init, no choice: an honest lower bound, and nothing that one could use.
 *
 *   floor [--erofs IMG --objects DIR | --lower DIR...] [--project DIR] [--mount SOURCE:TARGET...]
 *         [--accounts yes] [--network own [--bridge NAME]] [--cgroups NAME] CMD...
 *
 * --network own: a network namespace with its loopback up; --bridge: and a cable to this bridge, whose
 * network is 10.250.0.0/24, with an address and a default route. --cgroups: one cgroup of this name in each
 * hierarchy of version 1, shown in /sys/fs/cgroup, and removed at the end.
 * Up to 60 lowers. --accounts: /etc/passwd and /etc/group from memory, as a plain user needs them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/seccomp_filter.inc"

#define CHECK(call) do { if ((call) < 0) { perror(#call); _exit(125); } } while (0)
#define EMPTY (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
#define RECURSIVE 0x8000
static const char *erofs, *objects, *lowers[60], *project, *sources[60], *targets[60];
static int lower_count, mount_count, trees[60], root, scratch, user_namespace, accounts;
static unsigned uid, gid;
static const char *network, *cgroups, *bridge;
static int cable[2];
static char groups[16][400];
static int group_count;

static int clone_tree(int at, const char* path, int flags) {
  return syscall(SYS_open_tree, at, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
}
static void attach(int tree, const char* target) {
  int fd = openat(root, target, O_PATH);
  CHECK(syscall(SYS_move_mount, tree, "", fd, "", EMPTY));
}
static void set(int at, const char* path, unsigned long flags, int how) {
  struct mount_attr attributes = {.attr_set = flags};
  CHECK(syscall(SYS_mount_setattr, at, path, how, &attributes, sizeof attributes));
}
static void put(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CREAT, 0644);
  CHECK(write(fd, text, strlen(text)));
  close(fd);
}
static void config(int fs, const char* key, const char* value) {
  CHECK(syscall(SYS_fsconfig, fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0));
}
static int make(int fs, const char* over) {
  CHECK(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
  int tree = syscall(SYS_fsmount, fs, 0, 0);
  CHECK(syscall(SYS_move_mount, tree, "", AT_FDCWD, over, MOVE_MOUNT_F_EMPTY_PATH));
  return tree;
}
static void enter(const char* name) {
  int fd = openat(root, name, O_PATH);
  CHECK(fchdir(fd));
  close(fd);
}

static void mount_root(void) {
  scratch = make(syscall(SYS_fsopen, "tmpfs", 0), "/proc");
  CHECK(fchdir(scratch));
  mkdir("upper", 0755), mkdir("work", 0755), mkdir("empty", 0555), mkdir("base", 0755);
  int fs = syscall(SYS_fsopen, "overlay", 0);
  if (erofs) {
    CHECK(mount(erofs, "base", "erofs", MS_RDONLY, NULL));
    config(fs, "metacopy", "on"), config(fs, "redirect_dir", "on");
    config(fs, "lowerdir+", "base"), config(fs, "datadir+", objects);
  } else {
    config(fs, "userxattr", NULL);
    for (int i = 0; i < lower_count; ++i) config(fs, "lowerdir+", lowers[i]);
  }
  config(fs, "upperdir", "upper"), config(fs, "workdir", "work");
  root = make(fs, "/");
}

static void mount_proc_and_sys(void) {
  static const char* files[] = {"kcore", "keys", "latency_stats", "timer_list", "timer_stats",
                                "sched_debug", "interrupts"};
  static const char* folders[] = {"proc/acpi", "proc/asound", "proc/scsi", "sys/firmware"};
  static const char* fixed[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
  enter("proc");
  CHECK(mount("proc", ".", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
  enter("proc");
  for (int i = 0; i < 7; ++i) mount("/dev/null", files[i], NULL, MS_BIND, NULL);
  for (int i = 0; i < 5; ++i)
    if (mount(fixed[i], fixed[i], NULL, MS_BIND | MS_REC, NULL) == 0)
      set(AT_FDCWD, fixed[i], MOUNT_ATTR_RDONLY, 0);
  int sys = clone_tree(AT_FDCWD, "/sys", RECURSIVE);
  set(sys, "", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
      AT_EMPTY_PATH | RECURSIVE);
  attach(sys, "sys");
  for (int i = 0; i < 4; ++i)
    if (faccessat(root, folders[i], F_OK, 0) == 0) attach(clone_tree(scratch, "empty", 0), folders[i]);
}

static void mount_dev(void) {
  static const struct { const char *name, *host; int major, minor; } devices[] = {
      {"null", "/dev/null", 1, 3}, {"zero", "/dev/zero", 1, 5}, {"full", "/dev/full", 1, 7},
      {"random", "/dev/random", 1, 8}, {"urandom", "/dev/urandom", 1, 9}, {"tty", "/dev/tty", 5, 0}};
  static const char* links[][2] = {{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"},
      {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"/proc/kcore", "core"},
      {"pts/ptmx", "ptmx"}};
  enter("dev");
  CHECK(mount("tmpfs", ".", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
  enter("dev");
  for (int i = 0; i < 6; ++i) {
    if (!user_namespace) {
      CHECK(mknod(devices[i].name, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)));
    } else {
      CHECK(mknod(devices[i].name, S_IFREG | 0666, 0));
      CHECK(mount(devices[i].host, devices[i].name, NULL, MS_BIND, NULL));
    }
  }
  for (int i = 0; i < 6; ++i) CHECK(symlink(links[i][0], links[i][1]));
  mkdir("pts", 0755), mkdir("shm", 0755), mkdir("mqueue", 0755);
  CHECK(mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC,
              user_namespace ? "newinstance,ptmxmode=0666,mode=0620"
                             : "newinstance,ptmxmode=0666,mode=0620,gid=5"));
  CHECK(mount("shm", "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777"));
  CHECK(mount("mqueue", "mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
}

static void mount_file(const char* source, const char* target) {
  int tree = clone_tree(AT_FDCWD, source, 0), file = openat(root, target, O_CREAT | O_RDONLY, 0644);
  if (tree < 0) return;
  close(file);
  set(tree, "", MOUNT_ATTR_RDONLY, AT_EMPTY_PATH);
  attach(tree, target);
}

static void mount_folder(int tree, const char* target) {
  char path[4096];
  for (const char* slash = target; (slash = strchr(slash + 1, '/'));) {
    snprintf(path, sizeof path, "%.*s", (int)(slash - target - 1), target + 1);
    mkdirat(root, path, 0755);
  }
  mkdirat(root, target + 1, 0755);
  attach(tree, target + 1);
}

static void mount_account(const char* name, const char* target, const char* line) {
  int file = openat(scratch, name, O_WRONLY | O_CREAT, 0644);
  CHECK(write(file, line, strlen(line)));
  close(file);
  attach(clone_tree(scratch, name, 0), target);
}

static void mount_rest(void) {
  enter("tmp");
  CHECK(mount("tmpfs", ".", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"));
  enter("run");
  CHECK(mount("tmpfs", ".", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755"));
  mount_file("/etc/resolv.conf", "etc/resolv.conf");
  mount_file("/etc/hosts", "etc/hosts");
  if (accounts) {
    mount_account("passwd", "etc/passwd", "user:x:12345:12345::/home/user:/bin/sh\n");
    mount_account("group", "etc/group", "user:x:12345:\n");
  }
  for (int i = 0; i < mount_count; ++i) mount_folder(trees[i], targets[i]);
}

static void read_groups(void) {
  char line[1000], point[200];
  FILE* mounts = fopen("/proc/self/mounts", "r");
  while (mounts && fgets(line, sizeof line, mounts) && group_count < 16)
    if (strncmp(line, "cgroup ", 7) == 0 && sscanf(line, "cgroup %150s", point) == 1)
      snprintf(groups[group_count++], sizeof groups[0], "%s/%s", point, cgroups);
  if (mounts) fclose(mounts);
}

static void make_groups(void) {
  char path[500], value[100];
  for (int i = 0; i < group_count; ++i) {
    CHECK(mkdir(groups[i], 0755));
    if (!strstr(groups[i], "/cpuset/")) continue;
    static const char* files[] = {"cpuset.cpus", "cpuset.mems"};
    for (int j = 0; j < 2; ++j) {
      snprintf(path, sizeof path, "%s/../%s", groups[i], files[j]);
      int fd = open(path, O_RDONLY);
      ssize_t size = read(fd, value, sizeof value - 1);
      close(fd);
      value[size > 0 ? size : 0] = 0;
      snprintf(path, sizeof path, "%s/%s", groups[i], files[j]);
      put(path, value);
    }
  }
}

static void join_groups(void) {
  char path[500];
  for (int i = 0; i < group_count; ++i) snprintf(path, sizeof path, "%s/tasks", groups[i]), put(path, "0");
}

static void show_groups(void) {
  if (!group_count) return;
  enter("sys/fs/cgroup");
  CHECK(mount("tmpfs", ".", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755"));
  enter("sys/fs/cgroup");
  for (int i = 0; i < group_count; ++i) {
    char name[20];
    snprintf(name, sizeof name, "%d", i);
    CHECK(mkdir(name, 0755));
    int fd = open(name, O_PATH), tree = clone_tree(AT_FDCWD, groups[i], RECURSIVE);
    set(tree, "", MOUNT_ATTR_RDONLY, AT_EMPTY_PATH | RECURSIVE);
    CHECK(syscall(SYS_move_mount, tree, "", fd, "", EMPTY));
    close(fd), close(tree);
  }
}

static void bring_loopback_up(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(ioctl(fd, SIOCSIFFLAGS, &request));
  close(fd);
}

static struct rtattr* put_attribute(struct nlmsghdr* message, int type, const void* value, int size) {
  struct rtattr* out = (struct rtattr*)((char*)message + NLMSG_ALIGN(message->nlmsg_len));
  out->rta_type = type, out->rta_len = RTA_LENGTH(size);
  if (size) memcpy(RTA_DATA(out), value, size);
  message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(out->rta_len);
  return out;
}
static void close_attribute(struct nlmsghdr* message, struct rtattr* from) {
  from->rta_len = (char*)message + message->nlmsg_len - (char*)from;
}

/* From the bridge to eth0 of the child. */
static void lay_cable(int pid) {
  static union { struct nlmsghdr header; char bytes[1024]; } out;
  struct nlmsghdr* message = &out.header;
  struct ifinfomsg end = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, other = {0};
  char name[IFNAMSIZ], answer[4096];
  snprintf(name, sizeof name, "floor%d", pid);
  unsigned master = if_nametoindex(bridge);
  message->nlmsg_len = NLMSG_LENGTH(sizeof end), message->nlmsg_type = RTM_NEWLINK;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
  memcpy(NLMSG_DATA(message), &end, sizeof end);
  put_attribute(message, IFLA_IFNAME, name, strlen(name) + 1);
  put_attribute(message, IFLA_MASTER, &master, sizeof master);
  struct rtattr* info = put_attribute(message, IFLA_LINKINFO, NULL, 0);
  put_attribute(message, IFLA_INFO_KIND, "veth", 5);
  struct rtattr* data = put_attribute(message, IFLA_INFO_DATA, NULL, 0);
  struct rtattr* peer = put_attribute(message, VETH_INFO_PEER, &other, sizeof other);
  put_attribute(message, IFLA_IFNAME, "eth0", 5);
  put_attribute(message, IFLA_NET_NS_PID, &pid, sizeof pid);
  close_attribute(message, peer), close_attribute(message, data), close_attribute(message, info);
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  CHECK(send(fd, message, message->nlmsg_len, 0));
  CHECK(recv(fd, answer, sizeof answer, 0));
  close(fd);
}

static void address_cable(void) {
  char byte;
  CHECK(read(cable[0], &byte, 1));
  struct ifreq request = {.ifr_name = "eth0"};
  struct sockaddr_in address = {.sin_family = AF_INET}, mask = address, gateway = address, any = address;
  address.sin_addr.s_addr = htonl(0x0afa0002), mask.sin_addr.s_addr = htonl(0xffffff00), gateway.sin_addr.s_addr = htonl(0x0afa0001);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  memcpy(&request.ifr_addr, &address, sizeof address);
  CHECK(ioctl(fd, SIOCSIFADDR, &request));
  memcpy(&request.ifr_netmask, &mask, sizeof mask);
  CHECK(ioctl(fd, SIOCSIFNETMASK, &request));
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  CHECK(ioctl(fd, SIOCSIFFLAGS, &request));
  struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
  memcpy(&route.rt_gateway, &gateway, sizeof gateway), memcpy(&route.rt_dst, &any, sizeof any), memcpy(&route.rt_genmask, &any, sizeof any);
  CHECK(ioctl(fd, SIOCADDRT, &route));
  close(fd);
}

static void drop(void) {
  const unsigned long long keep = uid == 0 ? 0xa80425fb : 0;
  for (int i = 0; i < 41; ++i)
    if (!(0xa80425fbULL >> i & 1)) prctl(PR_CAPBSET_DROP, i);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{(unsigned)keep, (unsigned)keep, 0}};
  CHECK(syscall(SYS_capset, &header, data));
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  struct sock_fprog filter = {sizeof kist_seccomp_filter / sizeof *kist_seccomp_filter,
                              (struct sock_filter*)kist_seccomp_filter};
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter));
}

/* As kist: only where version 2 is mounted. */
static unsigned long cgroup_namespace(void) {
  struct statfs info;
  return statfs("/sys/fs/cgroup", &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC ? CLONE_NEWCGROUP : 0;
}
static void child(char** command) {
  char text[64];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (user_namespace) {
    put("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%u %u 1\n", gid, gid), put("/proc/self/gid_map", text);
    snprintf(text, sizeof text, "%u %u 1\n", uid, uid), put("/proc/self/uid_map", text);
  } else {
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
  }
  umask(0);
  join_groups();
  if (network) bring_loopback_up();
  if (bridge) address_cable();
  for (int i = 0; i < mount_count; ++i) trees[i] = clone_tree(AT_FDCWD, sources[i], RECURSIVE);
  mount_root();
  mount_proc_and_sys();
  show_groups();
  mount_dev();
  mount_rest();
  CHECK(fchdir(root));
  CHECK(syscall(SYS_pivot_root, ".", "."));
  CHECK(umount2(".", MNT_DETACH));
  CHECK(chdir(project ? project : "/"));
  umask(022);
  drop();
  char* environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TERM=xterm", NULL};
  execvpe(*command, command, environment);
  _exit(127);
}

int main(int argc, char** argv) {
  int i = 1, status;
  for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
    if (!strcmp(argv[i], "--erofs")) erofs = argv[i + 1];
    else if (!strcmp(argv[i], "--objects")) objects = argv[i + 1];
    else if (!strcmp(argv[i], "--lower") && lower_count < 60) lowers[lower_count++] = argv[i + 1];
    else if (!strcmp(argv[i], "--accounts")) accounts = 1;
    else if (!strcmp(argv[i], "--network")) network = argv[i + 1];
    else if (!strcmp(argv[i], "--bridge")) bridge = argv[i + 1];
    else if (!strcmp(argv[i], "--cgroups")) cgroups = argv[i + 1];
    else if (!strcmp(argv[i], "--project")) sources[mount_count] = targets[mount_count] = project = argv[i + 1], ++mount_count;
    else if (!strcmp(argv[i], "--mount") && mount_count < 60) {
      char* colon = strchr(argv[i + 1], ':');
      if (colon) *colon = 0, sources[mount_count] = argv[i + 1], targets[mount_count++] = colon + 1;
    }
  }
  uid = geteuid(), gid = getegid(), user_namespace = uid != 0;
  struct clone_args arguments = {
      .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | cgroup_namespace() |
               (network ? CLONE_NEWNET : 0) | (user_namespace ? CLONE_NEWUSER : 0),
      .exit_signal = SIGCHLD};
  if (cgroups) read_groups(), make_groups();
  if (bridge) CHECK(pipe(cable));
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  CHECK(pid);
  if (pid == 0) child(argv + i);
  if (bridge) lay_cable(pid), write(cable[1], "", 1);
  CHECK(waitpid(pid, &status, 0));
  for (int i = 0; i < group_count; ++i) CHECK(rmdir(groups[i]));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
