#include "cli/verbs.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "cli/container_verbs.h"
#include "cli/network_verbs.h"
#include "cli/registry_verbs.h"
#include "cli/transfer_verbs.h"

namespace kist::cli {
namespace {

// Flags that several verbs share, so that each is spelt and explained once.
constexpr FlagSpec kHelp{"--help", "-h", "", "show this help"};
constexpr FlagSpec kEnv{"--env", "", "NAME",
                        "use environment NAME of the project (with '=', a variable as -e)", true};
constexpr FlagSpec kFrom{"--from", "", "FILE", "take the requirements from FILE, whatever else there is"};
constexpr FlagSpec kLocked{"--locked", "", "", "fail if the lock does not match the inputs"};
constexpr FlagSpec kFrozen{"--frozen", "", "", "use the lock as it is, without looking at the inputs"};
constexpr FlagSpec kOffline{"--offline", "", "", "use only what is on this machine"};
constexpr FlagSpec kJson{"--json", "", "", "print the result as JSON"};
constexpr FlagSpec kQuiet{"--quiet", "-q", "", "print no progress"};
constexpr FlagSpec kVerbose{"--verbose", "", "", "say more"};
constexpr FlagSpec kProject{"--project", "", "FOLDER", "work on the project in FOLDER"};
constexpr FlagSpec kVolume{"--volume", "-v", "SRC:DST[:ro]", "mount a folder or file of the host; image: or a volume by its name", true};
constexpr FlagSpec kMount{"--mount", "", "type=…,source=…,target=…", "the same, in docker's long form", true};
constexpr FlagSpec kVariable{"--variable", "-e", "NAME[=VALUE]", "set a variable, or pass the host's on", true};
constexpr FlagSpec kEnvFile{"--env-file", "", "FILE", "set the variables that FILE lists", true};
constexpr FlagSpec kWorkdir{"--workdir", "-w", "FOLDER", "start in FOLDER"};
constexpr FlagSpec kReadOnly{"--read-only", "", "", "no writing outside of mounts and /tmp"};
constexpr FlagSpec kTmpfs{"--tmpfs", "", "PATH[:size=…]", "mount an empty memory file system", true};
constexpr FlagSpec kRoot{"--root", "", "", "be uid 0 inside"};
constexpr FlagSpec kNetwork{"--network", "", "host|none", "the network to see (default host)"};
constexpr FlagSpec kMemory{"--memory", "-m", "SIZE", "limit the memory, for example 8g"};
constexpr FlagSpec kCpus{"--cpus", "", "N", "limit the processor time, for example 1.5"};
constexpr FlagSpec kPids{"--pids-limit", "", "N", "limit the number of processes"};
constexpr FlagSpec kShm{"--shm-size", "", "SIZE", "size of /dev/shm (default: half of the memory)"};
constexpr FlagSpec kHostname{"--hostname", "-h", "NAME", "host name inside"};
constexpr FlagSpec kRunHelp{"--help", "", "", "show this help"};
constexpr FlagSpec kBestEffort{"--best-effort", "", "", "go on where a limit cannot be enforced"};

constexpr std::array kRunFlags{kEnv,     kVolume,  kMount,    kVariable, kEnvFile, kWorkdir, kReadOnly,
                               kTmpfs,   kRoot,    kNetwork,  kMemory,   kCpus,    kPids,    kShm,
                               kHostname, kBestEffort, kFrom, kLocked,   kFrozen,  kOffline, kProject,
                               kQuiet,   kVerbose, kRunHelp};
namespace cf = container_flags;
// `run` has both faces: the project's flags, and those of a container of an image.
constexpr std::array kWithImage{
    cf::kImage, cf::kDetach, cf::kInteractive, cf::kTty, cf::kRm, cf::kName, cf::kUser, cf::kEntrypoint,
    cf::kPrivileged, cf::kUlimit, cf::kCapAdd, cf::kCapDrop, cf::kSecurity, cf::kDevice, cf::kDns, cf::kDnsSearch,
    cf::kDnsOption, cf::kAddHost, cf::kLabel, cf::kLabelFile, cf::kLogDriver, cf::kLogOpt, cf::kRestart,
    cf::kStopSignal, cf::kStopTimeout, cf::kCidFile, cf::kGroupAdd, cf::kOom, cf::kCgroupParent, cf::kIpc, cf::kPid,
    cf::kUts, cf::kDomain, cf::kSysctl, cf::kMemorySwap, cf::kReservation, cf::kCpuShares, cf::kCpuset,
    cf::kCpusetMems, cf::kBlkio, cf::kSigProxy, cf::kDetachKeys, cf::kVolumesFrom,
    cf::kHealthCmd, cf::kHealthInterval, cf::kHealthTimeout, cf::kHealthRetries, cf::kHealthStartPeriod,
    cf::kHealthStartInterval, cf::kNoHealth, cf::kInit, cf::kPull, cf::kPlatform, cf::kRuntime,
    cf::kGpus, cf::kIds, cf::kUserns, cf::kPublish,
    cf::kPublishAll, cf::kExpose, cf::kIp4, cf::kIp6, cf::kMac, cf::kAlias, cf::kStreams, cf::kCpuPeriod, cf::kCpuQuota,
    cf::kCgroupns, cf::kVolumeDriver, cf::kReplace, cf::kSwappiness, cf::kOomKill, cf::kRealtimePeriod, cf::kRealtimeRuntime,
    cf::kBlkioDevice, cf::kReadBps, cf::kWriteBps, cf::kReadIops, cf::kWriteIops, cf::kDeviceRule, cf::kAnnotation,
    cf::kLink, cf::kTimeZone, cf::kUmask, cf::kNoHosts, cf::kEnvHost, cf::kUnsetEnv, cf::kUnsetAll, cf::kIsolation,
    cf::kStorageOpt, cf::kKernelMemory, cf::kContentTrust};
template <size_t A, size_t B>
constexpr std::array<FlagSpec, A + B> join(const std::array<FlagSpec, A>& a, const std::array<FlagSpec, B>& b) {
  std::array<FlagSpec, A + B> out{};
  for (size_t i = 0; i < A; ++i) out[i] = a[i];
  for (size_t i = 0; i < B; ++i) out[A + i] = b[i];
  return out;
}
// The flag of the same name, as a container of an image has it.
template <size_t A>
constexpr std::array<FlagSpec, A> instead(std::array<FlagSpec, A> flags, const FlagSpec& flag) {
  for (FlagSpec& one : flags)
    if (one.name == flag.name) one = flag;
  return flags;
}
// Those flags without what only a project has.
template <size_t A, size_t N>
constexpr std::array<FlagSpec, A - N> without(const std::array<FlagSpec, A>& flags, const std::string_view (&names)[N]) {
  std::array<FlagSpec, A - N> out{};
  size_t at = 0;
  for (const FlagSpec& flag : flags)
    if (std::find(std::begin(names), std::end(names), flag.name) == std::end(names)) out[at++] = flag;
  return out;
}
constexpr std::string_view kOfProjects[] = {"--from", "--locked", "--frozen", "--offline", "--project", "--root"};
constexpr std::array kAllRunFlags = instead(join(kRunFlags, kWithImage), cf::kNetworks);
constexpr FlagSpec kVariableToo{"--env", "", "NAME[=VALUE]", "the same as -e"};
constexpr std::array kCreateFlags = instead(without(kAllRunFlags, kOfProjects), kVariableToo);
constexpr FlagSpec kPlatform{"--platform", "", "OS/ARCH", "lock for this platform, for example linux/arm64", true};
constexpr FlagSpec kUpgrade{"--upgrade", "-U", "", "take the newest versions: of all, or of each NAME"};
constexpr FlagSpec kUpgradePackage{"--upgrade-package", "-P", "NAME", "the same as --upgrade NAME", true};
constexpr FlagSpec kPython{"--python", "", "X.Y", "lock for this version of Python"};
constexpr std::array kLockFlags{kUpgrade, kUpgradePackage, kPlatform, kPython, kEnv,  kFrom, kLocked,
                                kOffline, kProject,        kJson,     kQuiet,  kVerbose, kHelp};
constexpr FlagSpec kHere{"--here", "", "", "only print the digests of what this machine has"};
constexpr FlagSpec kOfPlatform{"--platform", "", "OS/ARCH", "the lock of this platform, for example linux/arm64"};
constexpr std::array kVerifyFlags{kHere, kOfPlatform, kEnv, kFrom, kOffline, kProject, kJson, kQuiet, kVerbose, kHelp};
constexpr FlagSpec kTag{"--tag", "-t", "NAME[:TAG]", "what to call the image", true};
constexpr FlagSpec kBuildPlatform{"--platform", "", "OS/ARCH[,…]", "for these platforms, for example linux/amd64,linux/arm64", true};
constexpr FlagSpec kBuildLabel{"--label", "", "KEY=VALUE", "a label of the image", true};
constexpr FlagSpec kCompression{"--compression", "", "zstd|zstd:chunked|gzip|none[:LEVEL]",
                                "of the layers (default zstd:3; gzip:6)"};
constexpr FlagSpec kBuildOutput{"--output", "-o", "KIND:PATH", "write it too: oci:FOLDER, oci-archive:FILE, docker-archive:FILE; registry is --push"};
constexpr FlagSpec kDev{"--dev", "", "", "with all that `kist run` has; of the environment `dev`, if there is one"};
constexpr FlagSpec kPush{"--push", "", "", "push it to the registry of each NAME; of several platforms as one index"};
constexpr std::array kBuildFlags{kTag,  kPush, transfer_flags::kInsecure, kBuildPlatform, kBuildLabel, kCompression, kBuildOutput, kDev,   kEnv,
                                 kFrom, kLocked,        kFrozen,     kOffline,     kProject,     kJson, kQuiet, kVerbose, kHelp};
constexpr std::array kStatusFlags{kEnv, kFrom, kProject, kJson, kQuiet, kHelp};
constexpr FlagSpec kDryRun{"--dry-run", "", "", "say what would be removed"};
constexpr FlagSpec kAll{"--all", "-a", "", "also packages used in the last 30 days, if no environment needs them"};
constexpr std::array kGcFlags{kAll, kDryRun, kJson, kQuiet, kHelp};
constexpr FlagSpec kFull{"--full", "", "", "read and hash every object"};
constexpr FlagSpec kRepair{"--repair", "", "", "set bad objects aside, so that they are fetched again"};
constexpr std::array kFsckFlags{kFull, kRepair, kJson, kQuiet, kHelp};
constexpr std::array kListFlags{kJson, kHelp};
constexpr FlagSpec kBare{"--bare", "", "", "only kist.toml, no example requirements"};
constexpr std::array kInitFlags{kBare, kPython, kProject, kHelp};
constexpr FlagSpec kSystem{"--system", "", "", "NAME is a Debian package"};
constexpr std::array kEditFlags{kSystem, kEnv, kOffline, kProject, kQuiet, kVerbose, kHelp};
constexpr FlagSpec kMarkdown{"--markdown", "", "", "print the reference of all verbs, as docs/reference.md has it"};
constexpr std::array kHelpFlags{kMarkdown, kHelp};
constexpr FlagSpec kInfoFormat{"--format", "-f", "TEMPLATE", "print through a Go template; 'json'"};
constexpr std::array kInfoFlags{kInfoFormat, kHelp};
constexpr std::array kOnlyHelp{kHelp};

constexpr FlagSpec kInput{"--input", "-i", "FILE", "a file or folder; without it, or with '-', stdin"};
constexpr FlagSpec kOutput{"--output", "-o", "FILE", "write to FILE; without it, or with '-', to stdout"};
constexpr FlagSpec kOnePlatform{"--platform", "", "OS/ARCH", "of several platforms, this one (default: this machine's)"};
constexpr FlagSpec kSaveFormat{"--format", "", "oci|docker", "an OCI layout (default), or docker-archive"};
constexpr FlagSpec kFormat{"--format", "", "TEMPLATE", "print through a Go template; 'json'; 'table TEMPLATE'"};
constexpr FlagSpec kFilter{"--filter", "-f", "KEY=VALUE", "only reference=, dangling=, label=, before=, since=, until=", true};
constexpr FlagSpec kDigests{"--digests", "", "", "show digests of manifests"};
constexpr FlagSpec kNoTrunc{"--no-trunc", "", "", "show ids and commands whole"};
constexpr FlagSpec kOnlyIds{"--quiet", "-q", "", "print ids only"};
constexpr FlagSpec kAllImages{"--all", "-a", "", "taken for docker's sake: all are always shown"};
constexpr FlagSpec kForce{"--force", "-f", "", "even if a container uses it, or it has several names"};
constexpr FlagSpec kChange{"--change", "-c", "INSTRUCTION", "apply a Dockerfile's instruction, for example 'CMD [\"sh\"]'", true};
constexpr FlagSpec kMessage{"--message", "-m", "TEXT", "the comment of the image's history"};
constexpr FlagSpec kHuman{"--human", "-H", "", "sizes and times as people say them (the default; --human=false)"};
constexpr FlagSpec kNoHuman{"--no-human", "", "", "sizes in bytes, times as they are"};
constexpr std::array kImagesFlags{kAllImages, kDigests, kFilter, kFormat, kJson, kNoTrunc, cf::kNoHeading, kOnlyIds, kHelp};
constexpr std::array kLoadFlags{kInput, kOnePlatform, kQuiet, kHelp};
constexpr FlagSpec kSince{"--since", "", "IMAGE", "leave out the layers that this image has"};
constexpr std::array kSaveFlags{kSince, kOutput, kSaveFormat, kHelp};
constexpr std::array kImportFlags{kChange, kMessage, kOnePlatform, kQuiet, kHelp};
constexpr FlagSpec kRemoveAll{"--all", "-a", "", "all images that no container uses"};
constexpr FlagSpec kNoPrune{"--no-prune", "", "", "taken for docker's sake"};
constexpr std::array kRmiFlags{kRemoveAll, kForce, kNoPrune, kHelp};
constexpr std::array kHistoryFlags{kFormat, kHuman, kNoHuman, kNoTrunc, kOnlyIds, kHelp};

constexpr std::array kBundleFlags{kOutput, kSince, kQuiet, kHelp};

constexpr VerbSpec kImageVerbs[] = {
    {"images", "list images", "[REPOSITORY[:TAG]]", 0, 1, false,
     "Columns, filters and templates are docker's. --json prints one list for scripts.\n\n"
     "  kist images\n"
     "  kist images --filter reference='debian:*' --format '{{.ID}} {{.Size}}'\n"
     "  kist images -q --no-trunc", kImagesFlags},
    {"load", "take images out of an archive", "", 0, 0, false,
     "Takes an OCI layout (a folder or a tar) and what `docker save` and `podman save` write, also\n"
     "compressed by gzip or zstd, with any number of images. Every digest is checked; a layer that\n"
     "the store has is not read again. An image appears whole or not at all.\n\n"
     "  kist load -i images.tar\n"
     "  podman save busybox | kist load", kLoadFlags},
    {"save", "write images to an archive", "IMAGE…", 1, 1000, false,
     "One tar with all of them; what they share is in it once. In the form `oci` manifests,\n"
     "configurations and layers are bit for bit as they came, so all digests stay.\n\n"
     "  kist save -o images.tar busybox debian:bookworm\n"
     "  kist save --format docker busybox | docker load", kSaveFlags},
    {"bundle", "write images to one file for a machine without a network", "IMAGE…", 1, 1000, false,
     "`kist load -i FILE` takes it there. --since IMAGE: only what is new since an image that is there already.\n\n"
     "  kist bundle -o week1.tar team/model:1\n"
     "  kist bundle -o week2.tar --since team/model:1 team/model:2", kBundleFlags},
    {"import", "make an image of a root file system's tar", "FILE|- [NAME]", 1, 2, false,
     "One layer; the tar may be compressed by gzip, zstd, xz or bzip2. Prints the image's id.\n\n"
     "  kist import rootfs.tar.xz debian:mine --change 'CMD [\"bash\"]' --change 'ENV LANG=C.UTF-8'",
     kImportFlags},
    {"tag", "give an image further names", "IMAGE NAME…", 2, 1000, false,
     "An image that had a name loses it.\n\n"
     "  kist tag busybox registry.example/team/busybox:1.36", kOnlyHelp},
    {"rmi", "remove images, or names of them", "IMAGE…", 0, 1000, false,
     "By a name: that name, and the image with the last one. By an id: the image with all names.\n"
     "`kist gc` gives the disk back.\n\n"
     "  kist rmi busybox:1.35\n"
     "  kist rmi --force 2f3a91c4d5e6", kRmiFlags},
    {"history", "show how an image was made", "IMAGE", 1, 1, false,
     "  kist history busybox\n"
     "  kist history --no-trunc --format '{{.CreatedBy}}' busybox", kHistoryFlags},
    {"image exists", "tell by the exit status whether there is such an image", "IMAGE", 1, 1, false,
     "0: there is; 1: there is none. Prints nothing; as podman's.\n\n"
     "  kist image exists team/tool:1 || kist load -i tool.tar", kOnlyHelp},
    {"image", "docker's other spelling of these", "ls|load|save|import|tag|rm|inspect|history|exists …", 1, 1000, true,
     "  kist image ls\n"
     "  kist image inspect busybox", kOnlyHelp},
};

constexpr VerbSpec kProjectVerbs[] = {
    {"run", "run a command in the project's environment, or in an image", "CMD [ARG…]", 0, 0, true,
     "Finds out what the project needs, locks it, assembles the environment and runs CMD in a\n"
     "container as you, in the project's folder. A CMD ending in .py is run by Python; a script\n"
     "with inline metadata (PEP 723) gets an environment of its own. The exit status is CMD's;\n"
     "125: kist failed, 126: CMD cannot be executed, 127: not found, 128+n: ended by signal n.\n\n"
     "  kist run python train.py\n"
     "  kist run -v ~/data:/data:ro -e OMP_NUM_THREADS=2 python train.py\n"
     "  kist run --env gpu --memory 16g python train.py --epochs 3\n\n"
     "With --image it is docker's run: a container of that image, with or without CMD.\n\n"
     "  kist run --rm -it --image busybox sh\n"
     "  kist run -d --name web -m 1g --image nginx", kAllRunFlags},
    {"create", "make a container of an image, without starting it", "--image NAME [CMD…]", 0, 0, true,
     "All flags of `kist run --image`; prints the id. `kist start` starts it.\n\n"
     "  kist create --name job --image busybox sh -c 'echo done'\n"
     "  kist start -a job", kCreateFlags},
    {"shell", "open a shell in the project's environment", "[-- ARG…]", 0, 0, true,
     "An interactive bash in the same container that `kist run` makes. Arguments are bash's.\n\n"
     "  kist shell\n"
     "  kist shell --root\n"
     "  kist shell -- -c 'python --version && pwd'", kRunFlags},
    {"task", "run a task that kist.toml names", "NAME [ARG…]", 1, 0, true,
     "Tasks stand under [tasks] in kist.toml. Further arguments are appended.\n\n"
     "  kist task train\n"
     "  kist task train --epochs 5", kRunFlags},
    {"lock", "write the lock", "[NAME…]", 0, 1000, false,
     "Resolves what the inputs ask for and writes pylock.kist.toml (PEP 751) with everything\n"
     "pinned by hash: base, Debian packages, Python, wheels. Versions that are locked already\n"
     "stay, unless the inputs forbid them or --upgrade asks for newer ones. With --json, one line\n"
     "for each platform.\n\n"
     "  kist lock\n"
     "  kist lock --upgrade\n"
     "  kist lock --upgrade pandas\n"
     "  kist lock --platform linux/amd64 --platform linux/arm64\n"
     "  kist lock --locked            (in CI: fail if the lock is stale)", kLockFlags},
    {"init", "start a project here", "", 0, 0, false,
     "Writes kist.toml, and requirements.txt where nothing else says what is needed. Overwrites\n"
     "nothing. A project with a requirements.txt or pyproject.toml needs no init.\n\n"
     "  kist init\n"
     "  kist init --python 3.11 --project new-project", kInitFlags},
    {"add", "add packages to the project's inputs and lock", "NAME…", 1, 1000, false,
     "Writes each NAME, with a version if it has one, where the project says what it needs:\n"
     "requirements.txt or pyproject.toml, whichever decides; else kist.toml. Then locks. If that\n"
     "fails, all files are as they were. Comments and layout stay.\n\n"
     "  kist add polars 'scikit-learn>=1.5'\n"
     "  kist add --system ffmpeg graphviz\n"
     "  kist add --env gpu torch", kEditFlags},
    {"remove", "remove packages from the project's inputs and lock", "NAME…", 1, 1000, false,
     "Takes each NAME out of where the project asks for it, and locks. What something else still\n"
     "needs stays in the lock. If locking fails, all files are as they were.\n\n"
     "  kist remove polars\n"
     "  kist remove --system graphviz", kEditFlags},
    {"status", "say whether lock and environment match the inputs", "", 0, 0, false,
     "Says which file decides, whether the lock is current, stale (and why) or missing, and whether\n"
     "the environment is assembled on this machine. Changes nothing. Exit status 0: all is up to\n"
     "date; 3: something differs.\n\n"
     "  kist status\n"
     "  kist status --quiet || kist lock\n"
     "  kist status --json", kStatusFlags},
    {"size", "show what the environment's packages weigh", "", 0, 0, false,
     "Every package of the assembled environment, largest first. unique: contents that no other\n"
     "package of it has; shared: the rest.\n\n"
     "  kist size\n"
     "  kist size --json", kStatusFlags},
    {"tree", "show which package needs which", "", 0, 0, false,
     "The Python packages that the project asks for, each with what it needs, as the installed\n"
     "packages themselves say. --json lists the Debian packages too.\n\n"
     "  kist tree\n"
     "  kist tree --env gpu", kStatusFlags},
    {"why", "say which requirement brings a package in", "NAME", 1, 1, false,
     "Each line is one way from something that the project asks for to NAME, shortest first. NAME\n"
     "is a Python or a Debian package.\n\n"
     "  kist why kiwisolver\n"
     "  kist why libc6", kStatusFlags},
    {"build", "make an image of the project and its environment", "", 0, 0, false,
     "The locked environment and the project's files at /app as an OCI image, which is then here under\n"
     "each NAME; prints its id. It runs as uid 10001, without a package manager; [image] in kist.toml\n"
     "says what it starts and what gets in, .gitignore and .dockerignore what does not. Layers that\n"
     "were ever made cost nothing. The same lock and files give the same digest on every machine.\n"
     "Of several platforms, others than this machine's are called NAME:TAG-linux-arm64.\n\n"
     "  kist build -t team/model:1\n"
     "  kist run --rm --image team/model:1\n"
     "  kist build -t team/model:1 --platform linux/amd64,linux/arm64 --output oci:image\n"
     "  kist build -t model --compression gzip --output docker-archive:model.tar", kBuildFlags},
    {"verify", "rebuild the environment from nothing and compare", "", 0, 0, false,
     "Assembles the locked environment in a clean store, fetching all of it again, and compares\n"
     "the digests of its tree and layers with those of this machine's. Exit status 0: identical;\n"
     "3: they differ, and the first paths that do are listed. To compare two machines, print the\n"
     "digests on both. The lock of another platform is assembled too: nothing of it is executed.\n\n"
     "  kist verify\n"
     "  kist verify --here\n"
     "  kist verify --platform linux/arm64", kVerifyFlags},
};

constexpr VerbSpec kMachineVerbs[] = {
    {"doctor", "check what this machine can do, with a fix for what it cannot", "", 0, 0, false,
     "Checks kernel, namespaces, overlay, cgroups, disk, certificates, index and mirror. Exit\n"
     "status 1 if something that kist needs is missing.\n\n"
     "  kist doctor", kListFlags},
    {"du", "show what the store holds", "", 0, 0, false,
     "A line for each environment, and the whole. apparent: as if it were alone; unique: what no\n"
     "other environment has; shared: the rest.\n\n"
     "  kist du\n"
     "  kist du --json", kListFlags},
    {"gc", "remove from the store what nothing needs", "", 0, 0, false,
     "Environments of projects that are still there, packages used in the last 30 days and what\n"
     "runs now stay.\n\n"
     "  kist gc --dry-run\n"
     "  kist gc --all", kGcFlags},
    {"fsck", "check the store", "", 0, 0, false,
     "Quick: every object exists and has its size. --full: its content has its hash. Exit status 1\n"
     "if something is damaged; --repair sets it aside and fetches it again.\n\n"
     "  kist fsck\n"
     "  kist fsck --full --repair", kFsckFlags},
    {"runtime", "be the OCI runtime of podman, docker or containerd, with runc's commands", "COMMAND", 0, 0, true,
     "The same when the program is called kist-runtime. `kist runtime --help` lists the commands.\n\n"
     "  podman --runtime /usr/local/bin/kist-runtime run --rm busybox true\n"
     "  kist runtime run -b bundle c1", kOnlyHelp},
    {"completion", "print a completion script", "bash|zsh|fish", 1, 1, false,
     "  kist completion bash > ~/.local/share/bash-completion/completions/kist", kOnlyHelp},
    {"info", "show what this machine has, as `docker info` does", "", 0, 0, false,
     "`kist doctor` says what it can do.\n\n"
     "  kist info\n"
     "  kist info --format '{{.ContainersRunning}} of {{.Containers}}'", kInfoFlags},
    {"version", "print the version", "", 0, 0, false,
     "  kist version\n"
     "  kist version --format '{{.Client.Version}}'", kInfoFlags},
    {"help", "explain a verb", "[VERB]", 0, 2, false, "  kist help run", kHelpFlags},
};

constexpr VerbGroup kGroups[] = {{"the project and its environment", kProjectVerbs},
                                 {"containers", kContainerVerbs},
                                 {"containers as archives and images", kContainerArchiveVerbs},
                                 {"networks", kNetworkVerbs},
                                 {"volumes", kVolumeVerbs},
                                 {"images", kImageVerbs},
                                 {"registries", kTransferVerbs},
                                 {"a registry of one's own", kRegistryVerbs},
                                 {"this machine", kMachineVerbs}};

}  // namespace

std::span<const VerbGroup> verb_groups() { return kGroups; }

bool is_group(std::string_view word) {
  for (const VerbGroup& group : kGroups)
    for (const VerbSpec& verb : group.verbs)
      if (verb.name.starts_with(word) && verb.name.substr(word.size()).starts_with(' ')) return true;
  return false;
}

std::span<const std::pair<std::string_view, std::string_view>> image_words() {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"ls", "images"},       {"list", "images"}, {"rm", "rmi"},       {"remove", "rmi"}, {"load", "load"},
      {"save", "save"},       {"import", "import"}, {"tag", "tag"},    {"inspect", "inspect"},
      {"history", "history"}, {"pull", "pull"},   {"push", "push"},    {"build", "build"}};
  return kWords;
}

std::vector<std::string> joined_words(std::vector<std::string> args) {
  if (args.size() < 2) return args;
  constexpr struct {
    std::string_view group, word, verb;
  } kOther[] = {{"volume", "list", "volume ls"}, {"volume", "remove", "volume rm"}, {"network", "list", "network ls"},
                {"network", "remove", "network rm"}, {"container", "ls", "ps"}, {"container", "ps", "ps"}, {"system", "info", "info"}, {"system", "events", "events"},
                {"container", "list", "ps"},     {"container", "remove", "rm"}};
  std::string verb = args[0] + " " + args[1];
  for (const auto& other : kOther)
    if (args[0] == other.group && args[1] == other.word) verb = other.verb;
  // "container stop" is "stop"; an image is none of its business.
  bool of_containers = args[0] == "container" && (args[1] == "run" || args[1] == "create");
  const auto belongs = [&](const VerbSpec& known) { return args[0] == "container" && known.name == args[1]; };
  of_containers = of_containers || std::any_of(std::begin(kContainerVerbs), std::end(kContainerVerbs), belongs) ||
                  std::any_of(std::begin(kContainerArchiveVerbs), std::end(kContainerArchiveVerbs), belongs);
  if (of_containers) verb = args[1];
  if (find_verb(verb) == nullptr || verb == args[0]) return args;
  const bool inspected = of_containers && verb == "inspect";
  args.erase(args.begin());
  args[0] = std::move(verb);
  if (inspected) args.insert(args.begin() + 1, "--type=container");
  return args;
}

const VerbSpec* find_verb(std::string_view name) {
  for (const VerbGroup& group : kGroups)
    for (const VerbSpec& verb : group.verbs)
      if (verb.name == name) return &verb;
  return nullptr;
}

std::string overview() {
  std::string out =
      "kist gives a data-science project a container: locked, reproducible, started in\n"
      "milliseconds, with no Dockerfile, no daemon and no root.\n\n"
      "usage: kist VERB [FLAGS] [ARG…]\n\nfirst: kist run python your_script.py\n";
  for (const VerbGroup& group : kGroups) {
    out += fmt::format("\n{}:\n", group.title);
    for (const VerbSpec& verb : group.verbs) out += fmt::format("  {:18} {}\n", verb.name, verb.summary);
  }
  return out + "\n`kist VERB --help` explains a verb.\n";
}

std::string group_help(std::string_view word) {
  std::string out = fmt::format("usage: kist {} VERB [FLAGS] [ARG…]\n\n", word);
  for (const VerbGroup& group : kGroups)
    for (const VerbSpec& verb : group.verbs)
      if (verb.name.starts_with(fmt::format("{} ", word)))
        out += fmt::format("  {:19} {}\n", verb.name, verb.summary);
  if (word == "container") out += "\nThe verbs of containers are known by this word too: `kist container stop` is `kist stop`.\n";
  return out + fmt::format("\n`kist {} VERB --help` explains a verb.\n", word);
}

Error unknown_verb(std::string_view name) {
  std::vector<std::string> names;
  if (is_group(name)) {
    for (const VerbGroup& group : kGroups)
      for (const VerbSpec& verb : group.verbs)
        if (verb.name.starts_with(fmt::format("{} ", name))) names.emplace_back(verb.name.substr(name.size() + 1));
    if (name == "container")
      for (const VerbSpec& verb : kContainerVerbs)
        if (verb.name.find(' ') == std::string_view::npos) names.emplace_back(verb.name);
    return Error(Code::invalid, "kist {} wants one of: {}", name, fmt::join(names, ", "))
        .hint(fmt::format("`kist {}` lists them with what they do", name));
  }
  for (const VerbGroup& group : kGroups)
    for (const VerbSpec& verb : group.verbs) names.emplace_back(verb.name);
  Error error(Code::invalid, "kist has no verb '{}'", printable(name));
  if (const auto near = nearest(name, names))
    return std::move(error).hint(fmt::format("did you mean `kist {}`?", *near));
  return std::move(error).hint("`kist help` lists them; `kist run CMD` runs a command");
}

std::string reference() {
  std::string out = "# Reference\n\nWritten by `kist help --markdown`; do not edit.\n";
  for (const VerbGroup& group : kGroups) {
    out += fmt::format("\n## {}\n", group.title);
    for (const VerbSpec& verb : group.verbs)
      out += fmt::format("\n### kist {}\n\n```text\n{}```\n", verb.name, help(verb));
  }
  return out;
}

}  // namespace kist::cli
