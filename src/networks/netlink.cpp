#include "networks/netlink.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/text.h"

namespace kist::networks {
namespace {

constexpr size_t kAlign = NLMSG_ALIGNTO;
constexpr size_t aligned(size_t size) { return (size + kAlign - 1) & ~(kAlign - 1); }
// What the kernel sends at once; a dump's answers are cut to the reader's buffer.
constexpr size_t kBufferBytes = 32 << 10;

nlmsghdr header_at(std::string_view bytes, size_t at) {
  nlmsghdr header;
  std::memcpy(&header, bytes.data() + at, sizeof header);
  return header;
}

std::string_view find_attribute(std::string_view bytes, uint16_t wanted) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr attribute;
    std::memcpy(&attribute, bytes.data(), sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > bytes.size()) return {};
    if ((attribute.nla_type & NLA_TYPE_MASK) == wanted)
      return bytes.substr(sizeof attribute, attribute.nla_len - sizeof attribute);
    bytes.remove_prefix(std::min(aligned(attribute.nla_len), bytes.size()));
  }
  return {};
}

// The kernel's own words, where it has some.
std::string words_of(std::string_view answer, const nlmsghdr& header) {
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  size_t skip = sizeof(nlmsghdr) + sizeof(nlmsgerr);
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
    nlmsgerr error;
    std::memcpy(&error, answer.data() + sizeof(nlmsghdr), sizeof error);
    skip += aligned(error.msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  if (skip > answer.size()) return "";
  std::string_view text = find_attribute(answer.substr(skip), NLMSGERR_ATTR_MSG);
  while (!text.empty() && text.back() == '\0') text.remove_suffix(1);
  return printable(text);
}

Error refused(int number, const std::string& what, const std::string& words) {
  if (words.empty()) return Error::from_errno(number, "{}", what);
  return Error::from_errno(number, "{} ({})", what, words);
}

}  // namespace

void Batch::append(std::string_view value) {
  text_ += value;
  text_.resize(aligned(text_.size()));
  auto size = static_cast<uint32_t>(text_.size() - message_);
  std::memcpy(text_.data() + message_, &size, sizeof size);
}

void Batch::begin(uint16_t type, uint16_t flags, std::string_view fixed, std::string what) {
  message_ = text_.size();
  nlmsghdr header = {};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags | ((flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK));
  header.nlmsg_seq = static_cast<uint32_t>(what_.size());
  what_.push_back(std::move(what));
  append({reinterpret_cast<const char*>(&header), sizeof header});
  append(fixed);
}

void Batch::bytes(uint16_t attribute, std::string_view value) {
  const nlattr header = {static_cast<uint16_t>(sizeof(nlattr) + value.size()), attribute};
  append({reinterpret_cast<const char*>(&header), sizeof header});
  append(value);
}

void Batch::open(uint16_t attribute, std::string_view fixed) {
  open_.push_back(text_.size());
  bytes(attribute, fixed);
}

void Batch::close() {
  const auto size = static_cast<uint16_t>(text_.size() - open_.back());
  std::memcpy(text_.data() + open_.back(), &size, sizeof size);
  open_.pop_back();
}

std::string_view Answer::attribute(uint16_t wanted, size_t fixed_bytes) const {
  return find_attribute(payload.substr(std::min(aligned(fixed_bytes), payload.size())), wanted);
}

Result<Netlink> Netlink::open(int protocol) {
  os::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket.is_open()) return Error::from_errno(errno, "open a netlink socket");
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  return Netlink(std::move(socket));
}

Result<void> Netlink::send(const Batch& batch) const {
  if (batch.count() == 0) return {};
  if (::send(socket_.get(), batch.text_.data(), batch.text_.size(), 0) < 0)
    return Error::from_errno(errno, "{}", batch.what_.front());
  Result<void> first;
  std::string buffer(kBufferBytes, '\0');
  for (size_t answered = 0; answered < batch.count();) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno(errno, "{}", batch.what_[answered]);
    const std::string_view all(buffer.data(), static_cast<size_t>(got));
    for (size_t at = 0; at + sizeof(nlmsghdr) + sizeof(int) <= all.size();) {
      const nlmsghdr header = header_at(all, at);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > all.size() - at) break;
      const std::string_view one = all.substr(at, header.nlmsg_len);
      at += aligned(header.nlmsg_len);
      if (header.nlmsg_type != NLMSG_ERROR) continue;
      ++answered;
      int number = 0;
      std::memcpy(&number, one.data() + sizeof header, sizeof number);
      if (number == 0 || !first) continue;
      const size_t which = std::min<size_t>(header.nlmsg_seq, batch.count() - 1);
      first = refused(-number, batch.what_[which], words_of(one, header));
    }
  }
  return first;
}

Result<void> Netlink::dump(const Batch& batch, const std::function<void(const Answer&)>& take) const {
  if (::send(socket_.get(), batch.text_.data(), batch.text_.size(), 0) < 0)
    return Error::from_errno(errno, "{}", batch.what_.front());
  std::string buffer(kBufferBytes, '\0');
  for (;;) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Error::from_errno(errno, "{}", batch.what_.front());
    const std::string_view all(buffer.data(), static_cast<size_t>(got));
    for (size_t at = 0; at + sizeof(nlmsghdr) <= all.size();) {
      const nlmsghdr header = header_at(all, at);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > all.size() - at) break;
      const std::string_view payload = all.substr(at + sizeof header, header.nlmsg_len - sizeof header);
      at += aligned(header.nlmsg_len);
      if (header.nlmsg_type == NLMSG_DONE) return {};
      if (header.nlmsg_type != NLMSG_ERROR) {
        take({header.nlmsg_type, payload});
        continue;
      }
      int number = 0;
      if (payload.size() >= sizeof number) std::memcpy(&number, payload.data(), sizeof number);
      if (number != 0) return Error::from_errno(-number, "{}", batch.what_.front());
      return {};
    }
  }
}

uint32_t Netlink::index_of(const std::string& name) const {
  ifreq request = {};
  if (name.empty() || name.size() >= sizeof request.ifr_name) return 0;
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  if (::ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0) return 0;
  return static_cast<uint32_t>(request.ifr_ifindex);
}

}  // namespace kist::networks
