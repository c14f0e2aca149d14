// The verbs for containers of images, with docker's flags: hands know them already.
#pragma once

#include <array>

#include "cli/flags.h"

namespace kist::cli {

namespace container_flags {
constexpr FlagSpec kHelp{"--help", "-h", "", "show this help"};
constexpr FlagSpec kAll{"--all", "-a", "", "also those that do not run"};
constexpr FlagSpec kQuiet{"--quiet", "-q", "", "ids only"};
constexpr FlagSpec kNoTrunc{"--no-trunc", "", "", "whole ids and commands"};
constexpr FlagSpec kFilter{"--filter", "-f", "KEY=VALUE", "only those: name, id, status, label, ancestor, exited …", true};
constexpr FlagSpec kFormat{"--format", "", "TEMPLATE", "`json`, or a Go template: '{{.Names}} {{.Status}}'"};
constexpr FlagSpec kLast{"--last", "-n", "N", "the last N made, whatever their state"};
constexpr FlagSpec kLatest{"--latest", "-l", "", "the last one made, whatever its state"};
constexpr FlagSpec kType{"--type", "", "container|image|network|volume", "what to look for (default: all, in this order)"};
constexpr FlagSpec kFollow{"--follow", "-f", "", "go on printing as it comes"};
constexpr FlagSpec kTail{"--tail", "-n", "N", "the last N lines only"};
constexpr FlagSpec kSince{"--since", "", "TIME", "from then on: 2026-01-02T03:04:05Z, or 10m ago"};
constexpr FlagSpec kUntil{"--until", "", "TIME", "up to then"};
constexpr FlagSpec kDetails{"--details", "", "", "taken for docker's sake: no driver has any"};
constexpr FlagSpec kTimestamps{"--timestamps", "-t", "", "with the time of each line"};
constexpr FlagSpec kTime{"--time", "-t", "SECONDS", "before it is killed (default: its own, 10)"};
constexpr FlagSpec kTimeout{"--timeout", "", "SECONDS", "the same"};
constexpr FlagSpec kSignal{"--signal", "-s", "SIGNAL", "instead of the usual one"};
constexpr FlagSpec kForce{"--force", "-f", "", "even if it runs: kill it first"};
constexpr FlagSpec kVolumes{"--volumes", "-v", "", "with the volumes that it alone has, if they have no name"};
constexpr FlagSpec kInteractive{"--interactive", "-i", "", "pass the input on"};
constexpr FlagSpec kTty{"--tty", "-t", "", "a terminal of its own"};
constexpr FlagSpec kDetach{"--detach", "-d", "", "in the background; prints the id"};
constexpr FlagSpec kDetachKeys{"--detach-keys", "", "KEYS", "to leave it running (default ctrl-p,ctrl-q)"};
constexpr FlagSpec kUser{"--user", "-u", "NAME|UID[:GROUP]", "who to be inside"};
constexpr FlagSpec kVariable{"--env", "-e", "NAME[=VALUE]", "set a variable, or pass the host's on", true};
constexpr FlagSpec kEnvFile{"--env-file", "", "FILE", "set the variables that FILE lists", true};
constexpr FlagSpec kWorkdir{"--workdir", "-w", "FOLDER", "start in FOLDER"};
constexpr FlagSpec kPrivileged{"--privileged", "", "", "all capabilities, no filter"};
constexpr FlagSpec kAttach{"--attach", "-a", "", "stay with it, as a foreground run does"};
constexpr FlagSpec kStartAll{"--all", "", "", "all that do not run"};
constexpr FlagSpec kNoStdin{"--no-stdin", "", "", "do not pass the input on"};
constexpr FlagSpec kSigProxy{"--sig-proxy", "", "true|false", "pass signals on (default true)"};
constexpr FlagSpec kNoStream{"--no-stream", "", "", "once, not again and again"};
constexpr FlagSpec kMemory{"--memory", "-m", "SIZE", "limit the memory, for example 8g"};
constexpr FlagSpec kMemorySwap{"--memory-swap", "", "SIZE", "memory and swap together; -1: any"};
constexpr FlagSpec kReservation{"--memory-reservation", "", "SIZE", "to fall back to when memory is short"};
constexpr FlagSpec kCpus{"--cpus", "", "N", "limit the processor time, for example 1.5"};
constexpr FlagSpec kCpuShares{"--cpu-shares", "-c", "N", "its share when processors are short (default 1024)"};
constexpr FlagSpec kCpuset{"--cpuset-cpus", "", "LIST", "the processors it may use: 0-2,5"};
constexpr FlagSpec kCpusetMems{"--cpuset-mems", "", "LIST", "the memory nodes it may use"};
constexpr FlagSpec kPids{"--pids-limit", "", "N", "limit the number of processes; -1: none"};
constexpr FlagSpec kBlkio{"--blkio-weight", "", "N", "its share of the disks, 10 to 1000"};
constexpr FlagSpec kRestart{"--restart", "", "no|on-failure[:N]|always|unless-stopped", "when to start it again"};

// Of `run`, for a container of an image.
constexpr FlagSpec kImage{"--image", "", "NAME", "run CMD in this image instead of the project"};
constexpr FlagSpec kRm{"--rm", "", "", "image: remove the container when it has ended"};
constexpr FlagSpec kName{"--name", "", "NAME", "image: what to call the container"};
constexpr FlagSpec kEntrypoint{"--entrypoint", "", "CMD", "image: instead of the image's own; or a list: '[\"sh\", \"-c\"]'"};
constexpr FlagSpec kUlimit{"--ulimit", "", "NAME=SOFT[:HARD]", "image: a limit of each process", true};
constexpr FlagSpec kCapAdd{"--cap-add", "", "NAME", "image: one more capability", true};
constexpr FlagSpec kCapDrop{"--cap-drop", "", "NAME", "image: one less; ALL", true};
constexpr FlagSpec kSecurity{"--security-opt", "", "OPTION", "image: no-new-privileges, seccomp=FILE, seccomp=unconfined …", true};
constexpr FlagSpec kDevice{"--device", "", "HOST[:INSIDE[:rwm]]", "image: a device of the host", true};
constexpr FlagSpec kDns{"--dns", "", "ADDRESS", "image: a name server", true};
constexpr FlagSpec kDnsSearch{"--dns-search", "", "DOMAIN", "image: where to look names up", true};
constexpr FlagSpec kDnsOption{"--dns-option", "", "OPTION", "image: of resolv.conf", true};
constexpr FlagSpec kAddHost{"--add-host", "", "NAME:ADDRESS", "image: a line of /etc/hosts", true};
constexpr FlagSpec kLabel{"--label", "-l", "KEY=VALUE", "image: a label of the container", true};
constexpr FlagSpec kLabelFile{"--label-file", "", "FILE", "image: the labels that FILE lists", true};
constexpr FlagSpec kLogDriver{"--log-driver", "", "k8s-file|none", "image: whether to keep what it prints"};
constexpr FlagSpec kLogOpt{"--log-opt", "", "max-size=10m", "image: max-size and max-file of the log", true};
constexpr FlagSpec kStopSignal{"--stop-signal", "", "SIGNAL", "image: what `stop` sends"};
constexpr FlagSpec kStopTimeout{"--stop-timeout", "", "SECONDS", "image: how long `stop` waits"};
constexpr FlagSpec kCidFile{"--cidfile", "", "FILE", "image: write the container's id there"};
constexpr FlagSpec kGroupAdd{"--group-add", "", "GROUP", "image: one more group", true};
constexpr FlagSpec kOom{"--oom-score-adj", "", "N", "image: -1000 to 1000"};
constexpr FlagSpec kCgroupParent{"--cgroup-parent", "", "PATH", "image: the cgroup above, or a slice of systemd's: jobs.slice"};
constexpr FlagSpec kNetworks{"--network", "", "NAME|host|none|container:NAME|pasta",
                             "the network to be on (default host)", true};
constexpr FlagSpec kPublish{"--publish", "-p", "[[IP:]PORT:]PORT[/udp]", "image: lead a port of the host into it", true};
constexpr FlagSpec kPublishAll{"--publish-all", "-P", "", "image: all ports that the image names, each at a free one"};
constexpr FlagSpec kExpose{"--expose", "", "PORT[/udp]", "image: name one more port", true};
constexpr FlagSpec kIp4{"--ip", "", "ADDRESS", "image: its IPv4 address on the network"};
constexpr FlagSpec kIp6{"--ip6", "", "ADDRESS", "image: its IPv6 address on the network"};
constexpr FlagSpec kMac{"--mac-address", "", "MAC", "image: of its interface"};
constexpr FlagSpec kAlias{"--network-alias", "", "NAME", "image: one more name on the network", true};
constexpr FlagSpec kIpc{"--ipc", "", "host|private|shareable|none|container:NAME", "image: the IPC namespace, and /dev/shm"};
constexpr FlagSpec kPid{"--pid", "", "host|private|container:NAME", "image: the pid namespace"};
constexpr FlagSpec kIds{"--ids", "", "single|range|auto", "image: a plain user's own id alone, or those of /etc/subuid too"};
constexpr FlagSpec kUserns{"--userns", "", "host|keep-id|private", "image: whose ids; podman's words for --ids"};
constexpr FlagSpec kUts{"--uts", "", "host|private", "image: the UTS namespace"};
constexpr FlagSpec kDomain{"--domainname", "", "NAME", "image: domain name inside"};
constexpr FlagSpec kSysctl{"--sysctl", "", "KEY=VALUE", "image: of its own namespaces", true};

constexpr FlagSpec kDriver{"--driver", "-d", "local|tmpfs", "a folder of the store, or memory (default local)"};
constexpr FlagSpec kOption{"--opt", "-o", "KEY=VALUE", "type=tmpfs and o=size=64m; or type=none, o=bind and device=/FOLDER", true};
constexpr FlagSpec kVolumeLabel{"--label", "", "KEY=VALUE", "a label of the volume", true};
constexpr FlagSpec kNamesOnly{"--quiet", "-q", "", "names only"};
constexpr FlagSpec kVolumeFilter{"--filter", "-f", "KEY=VALUE", "only those: name, label, driver, dangling", true};
constexpr FlagSpec kInspectFormat{"--format", "-f", "TEMPLATE", "`json`, or a Go template"};
constexpr FlagSpec kMissingToo{"--force", "-f", "", "no error for one that is not there"};
constexpr FlagSpec kDoNotAsk{"--force", "-f", "", "do not ask"};
constexpr FlagSpec kAllUnused{"--all", "-a", "", "also those with a name"};
constexpr FlagSpec kPruneFilter{"--filter", "", "KEY=VALUE", "only those: label=, label!=, until=", true};
constexpr FlagSpec kArchive{"--archive", "-a", "", "keep owners too"};
constexpr FlagSpec kFollowLink{"--follow-link", "-L", "", "copy what SOURCE leads to, if it is a link"};
constexpr FlagSpec kNoProgress{"--quiet", "-q", "", "taken for docker's sake: nothing is printed"};
constexpr FlagSpec kVolumesFrom{"--volumes-from", "", "CONTAINER[:ro]", "image: what that container has mounted", true};

constexpr FlagSpec kStreams{"--attach", "-a", "stdin|stdout|stderr", "image: see only these of its streams", true};
constexpr FlagSpec kCpuPeriod{"--cpu-period", "", "µs", "of --cpu-quota (default 100000)"};
constexpr FlagSpec kCpuQuota{"--cpu-quota", "", "µs", "processor time in each period: --cpus in other words"};
constexpr FlagSpec kCgroupns{"--cgroupns", "", "host|private", "image: the cgroup namespace"};
constexpr FlagSpec kVolumeDriver{"--volume-driver", "", "local|tmpfs", "image: of volumes that -v makes"};
constexpr FlagSpec kReplace{"--replace", "", "", "image: remove the container that has the name"};

constexpr FlagSpec kSwappiness{"--memory-swappiness", "", "0…100", "image: how soon its memory goes to swap (cgroups of version 1)"};
constexpr FlagSpec kOomKill{"--oom-kill-disable", "", "", "image: short of memory it halts instead of being killed (cgroups of version 1)"};
constexpr FlagSpec kRealtimePeriod{"--cpu-rt-period", "", "µs", "of --cpu-rt-runtime (cgroups of version 1)"};
constexpr FlagSpec kRealtimeRuntime{"--cpu-rt-runtime", "", "µs", "real-time processor time in each period (cgroups of version 1)"};
constexpr FlagSpec kBlkioDevice{"--blkio-weight-device", "", "DEVICE:N", "image: its share of one disk", true};
constexpr FlagSpec kReadBps{"--device-read-bps", "", "DEVICE:SIZE", "image: bytes a second read of a disk: /dev/sda:10mb", true};
constexpr FlagSpec kWriteBps{"--device-write-bps", "", "DEVICE:SIZE", "image: bytes a second written to it", true};
constexpr FlagSpec kReadIops{"--device-read-iops", "", "DEVICE:N", "image: reads a second of it", true};
constexpr FlagSpec kWriteIops{"--device-write-iops", "", "DEVICE:N", "image: writes a second to it", true};
constexpr FlagSpec kDeviceRule{"--device-cgroup-rule", "", "RULE", "image: devices that it may use, for example 'c 10:* rw'", true};
constexpr FlagSpec kAnnotation{"--annotation", "", "KEY=VALUE", "image: for the runtime's hooks and state", true};
constexpr FlagSpec kLink{"--link", "", "CONTAINER[:ALIAS]", "image: know a container of the same network by this name", true};
constexpr FlagSpec kTimeZone{"--tz", "", "ZONE", "image: its /etc/localtime: Europe/Berlin; local: the host's"};
constexpr FlagSpec kUmask{"--umask", "", "MODE", "image: of its first process (default 0022)"};
constexpr FlagSpec kNoHosts{"--no-hosts", "", "", "image: /etc/hosts is the image's own"};
constexpr FlagSpec kEnvHost{"--env-host", "", "", "image: all of the host's variables too"};
constexpr FlagSpec kUnsetEnv{"--unsetenv", "", "NAME", "image: without this variable of the image's", true};
constexpr FlagSpec kUnsetAll{"--unsetenv-all", "", "", "image: without the image's variables"};
constexpr FlagSpec kIsolation{"--isolation", "", "default", "image: taken for docker's sake; others are Windows'"};
constexpr FlagSpec kStorageOpt{"--storage-opt", "", "size=…", "image: not supported: what is written has no quota", true};
constexpr FlagSpec kKernelMemory{"--kernel-memory", "", "SIZE", "image: not supported, as by kernels now: --memory counts it"};
constexpr FlagSpec kContentTrust{"--disable-content-trust", "", "", "image: taken for docker's sake: digests are always checked"};

constexpr FlagSpec kInit{"--init", "", "", "image: a first process that reaps orphans and passes signals on"};
constexpr FlagSpec kPull{"--pull", "", "never|missing|always", "image: whether to ask its registry (default missing)"};
constexpr FlagSpec kPlatform{"--platform", "", "OS/ARCH", "image: fail if the image is for another one"};
constexpr FlagSpec kRuntime{"--runtime", "", "kist", "image: taken for docker's sake"};
constexpr FlagSpec kGpus{"--gpus", "", "WHICH", "image: reserved; not supported yet"};
constexpr FlagSpec kSize{"--size", "-s", "", "what it wrote, and that with its image"};
constexpr FlagSpec kInspectSize{"--size", "-s", "", "containers: SizeRw and SizeRootFs too"};
constexpr FlagSpec kCondition{"--condition", "", "STATE", "until it is stopped (default), running, healthy, unhealthy, paused, created or removed"};
constexpr FlagSpec kEventsSince{"--since", "", "TIME", "what happened from then on: 2026-01-02T03:04:05Z, or 10m ago"};
constexpr FlagSpec kEventsUntil{"--until", "", "TIME", "end then; without it events are waited for"};
constexpr FlagSpec kEventsFilter{"--filter", "-f", "KEY=VALUE", "only those: type, event, container, image, volume, network, label", true};
constexpr FlagSpec kSystemAll{"--all", "-a", "", "also images with a name that no container has"};
constexpr FlagSpec kSystemVolumes{"--volumes", "", "", "also volumes without a name that no container has"};

constexpr FlagSpec kEachInDetail{"--verbose", "-v", "", "each image, container and volume"};

constexpr FlagSpec kNoHeading{"--noheading", "", "", "no line of titles"};
constexpr FlagSpec kSort{"--sort", "", "FIELD", "by names, id, image, command, status or created (default: newest first)"};
inline constexpr std::array kPs{kAll, kQuiet, kNoTrunc, kFilter, kFormat, kLast, kLatest, kSize, kNoHeading, kSort, kHelp};
inline constexpr std::array kLogs{kFollow, kTail, kSince, kUntil, kTimestamps, kDetails, kHelp};
// podman's ways of naming containers.
constexpr FlagSpec kEach{"--all", "-a", "", "all containers"};
constexpr FlagSpec kIgnore{"--ignore", "-i", "", "no error for one that is not there"};
constexpr FlagSpec kFromCidFile{"--cidfile", "", "FILE", "the container whose id is in FILE", true};

constexpr FlagSpec kLastMade{"--latest", "-l", "", "the last one made"};
constexpr FlagSpec kFiltered{"--filter", "", "KEY=VALUE", "only those: as `kist ps --filter`", true};
inline constexpr std::array kStop{kTime, kTimeout, kSignal, kEach, kLastMade, kFiltered, kIgnore, kFromCidFile, kHelp};
inline constexpr std::array kRestartFlags{kTime, kTimeout, kSignal, kEach, kLastMade, kFiltered, kHelp};
inline constexpr std::array kKill{kSignal, kEach, kLastMade, kFromCidFile, kHelp};
inline constexpr std::array kPauseFlags{kEach, kLastMade, kFiltered, kHelp};
inline constexpr std::array kRemove{kForce, kVolumes, kTime, kTimeout, kEach, kLastMade, kFiltered, kIgnore, kFromCidFile, kHelp};
inline constexpr std::array kExec{kInteractive, kTty, kDetach, kUser, kVariable, kEnvFile, kWorkdir, kPrivileged, kHelp};
inline constexpr std::array kStart{kAttach, kInteractive, kDetachKeys, kSigProxy, kStartAll, kLastMade, kFiltered, kHelp};
inline constexpr std::array kAttachFlags{kNoStdin, kDetachKeys, kSigProxy, kHelp};
constexpr FlagSpec kRaw{"--raw", "", "", "image: its manifest or index, byte for byte"};
constexpr FlagSpec kConfig{"--config", "", "", "image: its configuration, byte for byte"};
constexpr FlagSpec kInspectInsecure{"--insecure", "", "", "docker://: accept a registry without TLS, or whose certificate cannot be checked"};
constexpr FlagSpec kInspectTls{"--tls-verify", "", "", "docker://: podman's and skopeo's word: --tls-verify=false is --insecure"};
constexpr FlagSpec kInspectCreds{"--creds", "", "USER:PASSWORD", "docker://: these instead of those that are kept"};
constexpr FlagSpec kInspectAuth{"--authfile", "", "FILE", "docker://: credentials in this file, and no other"};
constexpr FlagSpec kInspectPlatform{"--platform", "", "OS/ARCH", "docker://: of several platforms, this one"};
inline constexpr std::array kInspect{kInspectFormat, kType, kInspectSize, kRaw, kConfig, kInspectPlatform, kInspectInsecure, kInspectTls, kInspectCreds,
                                     kInspectAuth, kHelp};
inline constexpr std::array kStats{kAll, kNoStream, kNoTrunc, kFormat, kHelp};
inline constexpr std::array kUpdate{kMemory, kMemorySwap, kReservation, kCpus, kCpuPeriod, kCpuQuota, kRealtimePeriod, kRealtimeRuntime,
                                    kCpuShares, kCpuset, kCpusetMems, kPids, kBlkio, kRestart, kHelp};
inline constexpr std::array kOnlyHelp{kHelp};
inline constexpr std::array kPrune{kForce, kFilter, kHelp};
constexpr FlagSpec kHealthCmd{"--health-cmd", "", "CMD", "image: what tells whether it is well; none: nothing does"};
constexpr FlagSpec kHealthInterval{"--health-interval", "", "SPAN", "image: between two checks (default 30s)"};
constexpr FlagSpec kHealthTimeout{"--health-timeout", "", "SPAN", "image: a check that takes longer has failed (default 30s)"};
constexpr FlagSpec kHealthRetries{"--health-retries", "", "N", "image: failures in a row that count (default 3)"};
constexpr FlagSpec kHealthStartPeriod{"--health-start-period", "", "SPAN", "image: failures count from then on"};
constexpr FlagSpec kHealthStartInterval{"--health-start-interval", "", "SPAN", "image: between two checks until then (default 5s)"};
constexpr FlagSpec kNoHealth{"--no-healthcheck", "", "", "image: do not check, whatever the image says"};
constexpr FlagSpec kOutput{"--output", "-o", "FILE", "write to FILE; without it, or with '-', to stdout"};
constexpr FlagSpec kAuthor{"--author", "-a", "NAME", "who made it"};
constexpr FlagSpec kChange{"--change", "-c", "INSTRUCTION", "apply a Dockerfile's instruction, for example 'CMD [\"sh\"]'", true};
constexpr FlagSpec kMessage{"--message", "-m", "TEXT", "the comment of the image's history"};
constexpr FlagSpec kPause{"--pause", "-p", "", "halt the container meanwhile (the default; --pause=false)"};
constexpr FlagSpec kNoPause{"--no-pause", "", "", "let it go on meanwhile"};

inline constexpr std::array kWait{kCondition, kHelp};
constexpr FlagSpec kStream{"--stream", "", "", "wait for more (the default; --stream=false: as --until 0s)"};
inline constexpr std::array kEvents{kEventsSince, kEventsUntil, kStream, kEventsFilter, kFormat, kHelp};
inline constexpr std::array kContainerPrune{kDoNotAsk, kPruneFilter, kHelp};
inline constexpr std::array kImagePrune{kSystemAll, kDoNotAsk, kPruneFilter, kHelp};
inline constexpr std::array kSystemPrune{kSystemAll, kSystemVolumes, kDoNotAsk, kPruneFilter, kHelp};
inline constexpr std::array kSystemDf{kEachInDetail, kFormat, kHelp};
inline constexpr std::array kExport{kOutput, kHelp};
inline constexpr std::array kCommit{kAuthor, kChange, kMessage, kPause, kNoPause, kNoProgress, kHelp};
inline constexpr std::array kCopy{kArchive, kFollowLink, kNoProgress, kHelp};
inline constexpr std::array kVolumeCreate{kDriver, kVolumeLabel, kOption, kHelp};
inline constexpr std::array kVolumeList{kNamesOnly, kVolumeFilter, kFormat, kNoHeading, kHelp};
inline constexpr std::array kVolumeInspect{kInspectFormat, kHelp};
inline constexpr std::array kVolumeRemove{kMissingToo, kHelp};
inline constexpr std::array kVolumePrune{kAllUnused, kDoNotAsk, kPruneFilter, kHelp};
}  // namespace container_flags

inline constexpr size_t kMany = 100'000;  // Of containers that one command line names.

inline constexpr VerbSpec kContainerVerbs[] = {
    {"ps", "list containers", "", 0, 0, false,
     "Those that run; --all: those that have ended too.\n\n"
     "  kist ps -a\n"
     "  kist ps --filter status=exited --format '{{.Names}} {{.Status}}'", container_flags::kPs},
    {"logs", "print what a container printed", "CONTAINER", 1, 1, false,
     "  kist logs web\n"
     "  kist logs -f --tail 20 --timestamps web", container_flags::kLogs},
    {"exec", "run one more command in a running container", "CONTAINER CMD [ARG…]", 2, 0, true,
     "The exit status is CMD's; 126 and 127 as with `kist run`.\n\n"
     "  kist exec web ps aux\n"
     "  kist exec -it -u root web sh", container_flags::kExec},
    {"attach", "see what a running container prints, and type into it", "CONTAINER", 1, 1, false,
     "ctrl-p ctrl-q leaves it running, if it has a terminal.\n\n"
     "  kist attach web", container_flags::kAttachFlags},
    {"start", "start containers that have ended", "CONTAINER…", 0, kMany, false,
     "  kist start web\n"
     "  kist start -ai job", container_flags::kStart},
    {"stop", "stop containers", "CONTAINER…", 0, kMany, false,
     "Sends its stop signal (usually SIGTERM), waits, and kills what is still there.\n\n"
     "  kist stop web\n"
     "  kist stop -t 60 db", container_flags::kStop},
    {"restart", "stop containers and start them again", "CONTAINER…", 0, kMany, false,
     "  kist restart web", container_flags::kRestartFlags},
    {"kill", "send a signal to containers", "CONTAINER…", 0, kMany, false,
     "SIGKILL, if no other is given.\n\n"
     "  kist kill web\n"
     "  kist kill -s HUP web", container_flags::kKill},
    {"wait", "wait until containers have ended", "CONTAINER…", 1, kMany, false,
     "Prints the exit status of each.\n\n"
     "  kist wait job\n"
     "  kist wait --condition healthy web", container_flags::kWait},
    {"rm", "remove containers", "CONTAINER…", 0, kMany, false,
     "  kist rm job\n"
     "  kist rm -f web", container_flags::kRemove},
    {"pause", "halt all processes of containers", "CONTAINER…", 0, kMany, false,
     "  kist pause web", container_flags::kPauseFlags},
    {"unpause", "let them go on", "CONTAINER…", 0, kMany, false, "  kist unpause web", container_flags::kPauseFlags},
    {"rename", "give a container another name", "CONTAINER NAME", 2, 2, false,
     "  kist rename web www", container_flags::kOnlyHelp},
    {"inspect", "show all about containers or images as JSON", "NAME…", 1, kMany, false,
     "The shape is docker's. docker://NAME is an image in a registry, which is not pulled for it; its\n"
     "shape is that of `skopeo inspect`.\n\n"
     "  kist inspect web\n"
     "  kist inspect docker://registry.example/team/tool:1.2\n"
     "  kist inspect --type image --format '{{json .Config.Env}}' busybox\n"
     "  kist inspect --format '{{.State.ExitCode}}' job", container_flags::kInspect},
    {"top", "list the processes of a container", "CONTAINER", 1, 100, true,
     "Further arguments are ps's.\n\n"
     "  kist top web", container_flags::kOnlyHelp},
    {"stats", "show what containers use", "[CONTAINER…]", 0, 1000, false,
     "Processor time, memory, disk, network, processes; again each second.\n\n"
     "  kist stats\n"
     "  kist stats --no-stream web", container_flags::kStats},
    {"port", "show where the ports of a container are", "CONTAINER [PORT[/udp]]", 1, 2, false,
     "  kist port web\n"
     "  kist port web 80", container_flags::kOnlyHelp},
    {"update", "change the limits of containers", "CONTAINER…", 1, kMany, false,
     "At once, if they run.\n\n"
     "  kist update --memory 2g --cpus 2 web", container_flags::kUpdate},
    {"cp", "copy files into a container, or out of it", "SOURCE TARGET", 2, 2, false,
     "One of the two is CONTAINER:/PATH, or both; the container may run or not. A folder is copied into a folder\n"
     "that is there; with `SOURCE/.` what is in it. `-` is a tar: written to stdout, or taken apart\n"
     "into the folder TARGET. Files that come in belong to root, files that go out to you.\n\n"
     "  kist cp web:/var/log/app.log .\n"
     "  kist cp conf/. web:/etc/app\n"
     "  kist cp web:/data - | tar t", container_flags::kCopy},
    {"events", "show what happens to containers, images and volumes", "", 0, 0, false,
     "Waits for more, until --until. Nothing has to run for it: whoever acts writes it down.\n\n"
     "  kist events --filter container=web\n"
     "  kist events --since 1h --until 0s --format json", container_flags::kEvents},
    {"container prune", "remove containers that do not run", "", 0, 0, false,
     "  kist container prune\n"
     "  kist container prune -f --filter until=24h", container_flags::kContainerPrune},
    {"container exists", "tell by the exit status whether there is such a container", "CONTAINER", 1, 1, false,
     "0: there is; 1: there is none. Prints nothing; as podman's.\n\n"
     "  kist container exists web || kist run -d --name web --image nginx", container_flags::kOnlyHelp},
    {"diff", "list what a container changed of its image", "CONTAINER", 1, 1, false,
     "A: added, C: changed, D: deleted.\n\n"
     "  kist diff web", container_flags::kOnlyHelp},
};

// Of kist-engine: they need archives.
inline constexpr VerbSpec kContainerArchiveVerbs[] = {
    {"export", "write all files of a container as a tar", "CONTAINER", 1, 1, false,
     "Without what is mounted in it. The order is that of the names.\n\n"
     "  kist export -o root.tar web\n"
     "  kist export web | tar t", container_flags::kExport},
    {"commit", "make an image of what a container changed", "CONTAINER [NAME]", 1, 2, false,
     "One layer more than its image has; the same changes give the same layer. Prints the image's id.\n\n"
     "  kist commit web team/web:patched\n"
     "  kist commit -m 'with tools' -c 'CMD [\"bash\"]' box tools", container_flags::kCommit},
    {"image prune", "remove images without a name", "", 0, 0, false,
     "--all: those with a name too that no container has. `kist gc` gives the disk back.\n\n"
     "  kist image prune -af", container_flags::kImagePrune},
    {"system df", "show what images, containers and volumes take up", "", 0, 0, false,
     "A layer that several images have counts once; -v shows what each has alone. `kist du` shows the same\n"
     "of environments.\n\n"
     "  kist system df\n"
     "  kist system df -v", container_flags::kSystemDf},
    {"system prune", "remove containers that do not run, networks without any, and images that nothing needs", "", 0, 0, false,
     "  kist system prune -f --volumes", container_flags::kSystemPrune},
};

inline constexpr VerbSpec kVolumeVerbs[] = {
    {"volume create", "make a volume", "[NAME]", 0, 1, false,
     "A folder that outlives containers; `-v NAME:/path` makes it too. Prints its name.\n\n"
     "  kist volume create data\n"
     "  kist volume create --opt type=none --opt o=bind --opt device=/srv/data data\n"
     "  kist volume create -d tmpfs --opt o=size=64m scratch", container_flags::kVolumeCreate},
    {"volume ls", "list volumes", "", 0, 0, false,
     "  kist volume ls\n"
     "  kist volume ls -q --filter dangling=true", container_flags::kVolumeList},
    {"volume inspect", "show all about volumes as JSON", "VOLUME…", 1, kMany, false,
     "  kist volume inspect data\n"
     "  kist volume inspect --format '{{.Mountpoint}}' data", container_flags::kVolumeInspect},
    {"volume exists", "tell by the exit status whether there is such a volume", "VOLUME", 1, 1, false,
     "0: there is; 1: there is none. Prints nothing; as podman's.\n\n"
     "  kist volume exists data || kist volume create data", container_flags::kOnlyHelp},
    {"volume rm", "remove volumes and what is in them", "VOLUME…", 1, kMany, false,
     "Not while a container, running or not, has it.\n\n"
     "  kist volume rm data", container_flags::kVolumeRemove},
    {"volume prune", "remove volumes that no container has", "", 0, 0, false,
     "Those without a name; --all: those with a name too.\n\n"
     "  kist volume prune\n"
     "  kist volume prune -af --filter label=scratch", container_flags::kVolumePrune},
};

}  // namespace kist::cli
