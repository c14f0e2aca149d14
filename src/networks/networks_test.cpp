#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <set>

#include "networks/address.h"
#include "networks/endpoint.h"
#include "networks/flows.h"
#include "networks/names.h"
#include "networks/netlink.h"
#include "networks/network.h"
#include "networks/ports.h"
#include "networks/rules.h"

namespace kist::networks {
namespace {

std::string error_of(const auto& result) { return result ? "no error" : result.error().message(); }

TEST(AddressTest, ComesBackAndCounts) {
  for (const char* text : {"10.1.2.3", "0.0.0.0", "255.255.255.255", "fd00::7", "::", "2001:db8::1"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(address->text(), text);
  }
  for (const char* text : {"", "10.1.2", "10.1.2.256", "1.2.3.4 ", "fd00:::1", "::1%lo", "0x7f.1", "localhost"})
    EXPECT_FALSE(Address::parse(text).has_value()) << text;
  EXPECT_FALSE(Address::parse(std::string_view("1.2.3.4\0", 8)).has_value());
  EXPECT_TRUE(Address::parse("127.8.8.8")->is_loopback());
  EXPECT_TRUE(Address::parse("::1")->is_loopback());
  EXPECT_FALSE(Address::parse("128.0.0.1")->is_loopback());
}

TEST(SubnetTest, ContainsAndOverlaps) {
  const auto subnet = [](const char* text) { return Subnet::parse(text).value(); };
  EXPECT_EQ(subnet("10.1.2.3/16").text(), "10.1.0.0/16");
  EXPECT_EQ(subnet("10.1.2.3/16").last().text(), "10.1.255.255");
  EXPECT_EQ(subnet("fd00::1:2:3:4/64").text(), "fd00::/64");
  EXPECT_EQ(subnet("0.0.0.0/0").last().text(), "255.255.255.255");
  EXPECT_EQ(subnet("::/0").last().text(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_TRUE(subnet("10.0.0.0/8").overlaps(subnet("10.200.0.0/24")));
  EXPECT_TRUE(subnet("10.200.0.0/24").overlaps(subnet("10.0.0.0/8")));
  EXPECT_FALSE(subnet("10.0.0.0/24").overlaps(subnet("10.0.1.0/24")));
  EXPECT_FALSE(subnet("::/0").overlaps(subnet("10.0.0.0/8")));
  EXPECT_EQ(error_of(Subnet::parse("10.0.0.0")), "'10.0.0.0' is no subnet, want ADDRESS/BITS, for example 10.5.0.0/24");
  EXPECT_EQ(error_of(Subnet::parse("10.0.0.0/33")), "'10.0.0.0/33': the prefix has to be a number from 0 to 32");
  EXPECT_EQ(error_of(Subnet::parse("10.0.0.0/-1")), "'10.0.0.0/-1': the prefix has to be a number from 0 to 32");
}

TEST(MacTest, GoesWithTheAddress) {
  EXPECT_EQ(mac_text(mac_of(Address::parse("10.90.1.2").value())), "02:42:0a:5a:01:02");
  EXPECT_EQ(mac_text(parse_mac("02:42:AC:11:00:02").value()), "02:42:ac:11:00:02");
  for (const char* text : {"", "02:42:ac:11:00", "02:42:ac:11:00:0g", "01:00:5e:00:00:01", "2:42:ac:11:0:2", "ff:ff:ff:ff:ff:ff"})
    EXPECT_FALSE(parse_mac(text).has_value()) << text;
}

TEST(RangesTest, RefusesWhatCannotBe) {
  const struct {
    RangeRequest request;
    std::string message;
  } cases[] = {
      {{{"10.1.0.0/24", "10.2.0.0/24"}, {}, {}},
       "--subnet: 10.1.0.0/24 and 10.2.0.0/24 are of the same family; a network has one of each"},
      {{{"10.1.0.0/31"}, {}, {}}, "--subnet: '10.1.0.0/31' has a prefix of 31 bits, want 8 to 30"},
      {{{"127.0.0.0/8"}, {}, {}}, "--subnet: '127.0.0.0/8' cannot be a network's: loopback and multicast are others"},
      {{{"224.0.0.0/24"}, {}, {}}, "--subnet: '224.0.0.0/24' cannot be a network's: loopback and multicast are others"},
      {{{"0.0.0.0/0"}, {}, {}}, "--subnet: '0.0.0.0/0' has a prefix of 0 bits, want 8 to 30"},
      {{{}, {"10.1.0.1"}, {}}, "--gateway: no --subnet contains 10.1.0.1"},
      {{{"10.1.0.0/24"}, {"10.2.0.1"}, {}}, "--gateway: no --subnet contains 10.2.0.1"},
      {{{"10.1.0.0/24"}, {"10.1.0.255"}, {}}, "--gateway: 10.1.0.255 is the subnet's own or its broadcast address"},
      {{{"10.1.0.0/24"}, {}, {"10.1.0.0/16"}}, "--ip-range: no --subnet contains 10.1.0.0/16"},
      {{{"ff02::/64"}, {}, {}}, "--subnet: 'ff02::/64' cannot be a network's: loopback and multicast are others"},
  };
  for (const auto& c : cases) EXPECT_EQ(error_of(ranges_of(c.request)), c.message);
  const auto good = ranges_of({{"10.1.0.0/24", "fd01::/64"}, {"10.1.0.9"}, {"10.1.0.128/25"}});
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ((*good)[0].gateway.text(), "10.1.0.9");
  EXPECT_EQ((*good)[0].handout->text(), "10.1.0.128/25");
  EXPECT_EQ((*good)[1].gateway.text(), "fd01::1");
}

TEST(RangesTest, TheFirstFreeOneIsTaken) {
  const auto subnet = [](const char* text) { return Subnet::parse(text).value(); };
  EXPECT_EQ(free_range({})->subnet.text(), "10.92.0.0/20");
  EXPECT_EQ(free_range({subnet("10.92.8.1/32")})->subnet.text(), "10.92.16.0/20");
  EXPECT_EQ(free_range({subnet("10.0.0.0/8")})->subnet.text(), "172.16.0.0/20");
  EXPECT_EQ(error_of(free_range({subnet("0.0.0.0/0")})), "all predefined address pools have been fully subnetted");
}

// Goal: each address is given out once, none that is the network's, and the end is told.
TEST(AllocationTest, GivesOutAllAndSaysWhenNoneIsLeft) {
  const Range range = ranges_of({{"10.1.0.0/29"}, {}, {}}).value().front();
  std::set<std::string> taken;
  std::optional<Address> last;
  for (int i = 0; i < 5; ++i) {
    const auto next = next_address(range, last, [&](const Address& a) { return taken.contains(a.text()); });
    ASSERT_TRUE(next.has_value());
    EXPECT_TRUE(taken.insert(next->text()).second);
    last = *next;
  }
  EXPECT_EQ(taken, (std::set<std::string>{"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"}));
  const auto is_taken = [&](const Address& a) { return taken.contains(a.text()); };
  EXPECT_EQ(error_of(next_address(range, last, is_taken)),
            "no available IPv4 addresses on this network's address pool: 10.1.0.0/29");
  taken.erase("10.1.0.3");
  EXPECT_EQ(next_address(range, last, is_taken)->text(), "10.1.0.3") << "it goes round";
  // One that was given back a moment ago is the last to be given out again.
  taken.clear();
  EXPECT_EQ(next_address(range, Address::parse("10.1.0.4").value(), is_taken)->text(), "10.1.0.5");
}

TEST(AllocationTest, StaysInThePartThatIsGivenOut) {
  const Range range = ranges_of({{"10.1.0.0/24"}, {}, {"10.1.0.252/30"}}).value().front();
  const auto [first, last] = bounds_of(range);
  EXPECT_EQ(first.text(), "10.1.0.252");
  EXPECT_EQ(last.text(), "10.1.0.254") << "not the broadcast address";
  const Range v6 = local_range_v6("0123456789abcdef");
  EXPECT_EQ(v6.subnet.text(), "fd01:2345:6789::/64");
  const auto next = next_address(v6, std::nullopt, [](const Address&) { return false; });
  EXPECT_EQ(next->text(), "fd01:2345:6789::2");
}

Network lab() {
  Network network;
  network.id = std::string(64, '1');
  network.name = "lab";
  network.interface = "kist-11111111";
  network.ranges = ranges_of({{"10.1.0.0/24", "fd01::/64"}, {}, {"10.1.0.128/25"}}).value();
  network.labels = {{"a", "b"}};
  return network;
}

TEST(NetworkTest, ComesBack) {
  const auto back = decode_network(encode(lab()));
  ASSERT_TRUE(back.has_value()) << error_of(back);
  EXPECT_EQ(encode(*back), encode(lab()));
}

TEST(NetworkTest, RefusesAHostileRecord) {
  const std::string good = encode(lab());
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_EQ(error_of(decode_network(with("kist-11111111", "x\\\" ; flush"))),
            "the network's record: 'x\" ; flush' is no name of an interface");
  EXPECT_FALSE(decode_network(with("\"lab\"", "\"../x\"")).has_value());
  EXPECT_FALSE(decode_network(with("10.1.0.0/24", "10.1.0.0/99")).has_value());
  EXPECT_FALSE(decode_network(with("10.1.0.1", "10.2.0.1")).has_value());
  EXPECT_FALSE(decode_network("{\"version\":1}").has_value());
  EXPECT_FALSE(decode_network("[]").has_value());
  for (const char* name : {"host", "none", "bridge", "container", "", ".x", "a b", "a/b", "-x"})
    EXPECT_FALSE(check_network_name(name).has_value()) << name;
}

TEST(PortsTest, AreReadAsDockerReadsThem) {
  const auto one = [](const char* text) { return parse_publish(text).value().at(0); };
  EXPECT_EQ(one("80"), (PublishedPort{"", 0, 80, "tcp"}));
  EXPECT_EQ(one("8080:80"), (PublishedPort{"", 8080, 80, "tcp"}));
  EXPECT_EQ(one("127.0.0.1:8080:80/udp"), (PublishedPort{"127.0.0.1", 8080, 80, "udp"}));
  EXPECT_EQ(one("127.0.0.1::80"), (PublishedPort{"127.0.0.1", 0, 80, "tcp"}));
  EXPECT_EQ(one("[::1]:8080:80"), (PublishedPort{"::1", 8080, 80, "tcp"}));
  const auto range = parse_publish("8000-8002:80-82");
  ASSERT_EQ(range->size(), 3u);
  EXPECT_EQ((*range)[2], (PublishedPort{"", 8002, 82, "tcp"}));
  for (const char* text : {"", ":", "80:", "0", "65536", "8080:0", "x:80", "1:2:3", "[::1:80", "[::1]:80", "80/sctp",
                           "8000-8001:80", "90-80", "1.2.3.4.5:1:2", ":80:80", "80/tcp/udp", "-1", "8080:80:"})
    EXPECT_FALSE(parse_publish(text).has_value()) << text;
  EXPECT_EQ(parse_expose("80-81/udp").value(), (std::vector<std::string>{"80/udp", "81/udp"}));
}

TEST(PortsTest, AreShownAsDockerShowsThem) {
  EXPECT_EQ(ports_text({{"", 8080, 80, "tcp"}, {"127.0.0.1", 53, 53, "udp"}}, {"443/tcp", "80/tcp"}, true),
            "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:53->53/udp, 443/tcp");
  EXPECT_EQ(ports_text({{"", 8000, 80, "tcp"}, {"", 8001, 81, "tcp"}, {"", 8002, 82, "tcp"}}, {}, false),
            "0.0.0.0:8000-8002->80-82/tcp");
}

// Goal: a port is one container's. Method: take the same port twice, by our records and by the kernel's.
TEST(PortsTest, ATakenPortIsTold) {
  auto first = take_ports({{"127.0.0.1", 0, 80, "tcp"}}, {}, {});
  ASSERT_TRUE(first.has_value()) << error_of(first);
  const uint16_t port = first->ports[0].host_port;
  EXPECT_GE(port, 32768);
  const std::vector<PublishedPort> same = {{"127.0.0.1", port, 90, "tcp"}};
  EXPECT_EQ(error_of(take_ports(same, first->ports, {})),
            fmt::format("Bind for 127.0.0.1:{}/tcp failed: port is already allocated", port));
  EXPECT_EQ(error_of(take_ports(same, {}, {})),
            fmt::format("failed to bind host port for 127.0.0.1:{}/tcp: address already in use", port));
  EXPECT_EQ(error_of(take_ports({{"", port, 90, "tcp"}}, {}, {})),
            fmt::format("failed to bind host port for 0.0.0.0:{}/tcp: address already in use", port));
  // Freed, it is free, and who had it gets it again.
  const auto before = first->ports;
  first = Error(Code::internal, "gone");
  const auto again = take_ports({{"127.0.0.1", 0, 80, "tcp"}}, {}, before);
  EXPECT_EQ(again->ports[0].host_port, port);
}

Endpoint member(const char* name, const char* address) {
  Endpoint out;
  out.container = std::string(64, name[0]);
  out.name = name;
  out.hostname = "host-of-" + std::string(name);
  out.network = lab().id;
  out.network_name = "lab";
  out.ipv4 = address;
  out.outside = outside_name(out.container, 0);
  return out;
}

TEST(EndpointTest, ComesBackAndIsChecked) {
  Endpoint endpoint = member("web", "10.1.0.2");
  endpoint.ports = {{"", 8080, 80, "tcp"}};
  EXPECT_EQ(encode(decode_endpoint(encode(endpoint)).value()), encode(endpoint));
  endpoint.ports[0].protocol = "tcp . 1 : 1.2.3.4 . 5 } } ; flush ruleset";
  EXPECT_FALSE(decode_endpoint(encode(endpoint)).has_value());
  endpoint.ports.clear();
  endpoint.ipv4 = "10.1.0.2 }";
  EXPECT_FALSE(decode_endpoint(encode(endpoint)).has_value());
}

TEST(NamesTest, TellWhoIsThere) {
  Endpoint db = member("db", "10.1.0.3");
  db.aliases = {"postgres"};
  db.ipv6 = "fd01::3";
  EXPECT_EQ(names_text({member("web", "10.1.0.2")}, {db}),
            "# kist: containers of its networks; written anew when one comes or goes\n"
            "10.1.0.2\tweb wwwwwwwwwwww host-of-web\n"
            "10.1.0.3\tdb postgres dddddddddddd host-of-db\n"
            "fd01::3\tdb postgres dddddddddddd host-of-db\n");
  db.network_name = "bridge";
  EXPECT_EQ(names_text({}, {db}).find("db"), std::string::npos) << "the default network tells nobody's name";
  Endpoint web = member("web", "10.1.0.2");
  web.network_name = "bridge";
  web.links = {db.container + ":store"};
  EXPECT_NE(names_text({web}, {db}).find("10.1.0.3\tdb postgres dddddddddddd host-of-db store\n"), std::string::npos)
      << "but to who is linked";
  db.network = "another";
  EXPECT_EQ(names_text({web}, {db}).find("store"), std::string::npos);
}

TEST(RulesTest, AreOneTransactionOnOneTable) {
  EXPECT_EQ(rules_text({}, true), "table inet kist\ndelete table inet kist\n");
  Endpoint web = member("web", "10.1.0.2");
  web.ipv6 = "fd01::2";
  web.ports = {{"", 8080, 80, "tcp"}, {"127.0.0.1", 53, 53, "udp"}, {"::1", 8081, 80, "tcp"}, {"0.0.0.0", 8082, 80, "tcp"}};
  const std::string text = rules_text({{lab(), {web}}}, false);
  EXPECT_TRUE(text.starts_with("table inet kist\ndelete table inet kist\ntable inet kist {\n"));
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has("map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; elements = { "
                  "tcp . 8080 : 10.1.0.2 . 80, tcp . 8082 : 10.1.0.2 . 80 }; }"));
  EXPECT_TRUE(has("elements = { 127.0.0.1 . udp . 53 : 10.1.0.2 . 53 }; }"));
  EXPECT_TRUE(has("inet_service : ipv6_addr . inet_service; elements = { tcp . 8080 : fd01::2 . 80 }; }"));
  EXPECT_TRUE(has("elements = { ::1 . tcp . 8081 : fd01::2 . 80 }; }"));
  EXPECT_TRUE(has("set bridges { type ifname; elements = { \"kist-11111111\" }; }"));
  EXPECT_TRUE(has("set internal { type ifname; }"));
  EXPECT_TRUE(has("set closed6 { type ipv6_addr; elements = { ::1 }; }"));
  EXPECT_NE(rules_text({{lab(), {web}}}, true).find("set closed6 { type ipv6_addr; }"), std::string::npos);
}

// What the kernel would say of a connection.
std::string attribute(uint16_t type, std::string_view value) {
  const nlattr header = {static_cast<uint16_t>(sizeof(nlattr) + value.size()), type};
  std::string out(reinterpret_cast<const char*>(&header), sizeof header);
  out += value;
  out.resize((out.size() + 3) / 4 * 4);
  return out;
}

std::string address_bytes(const char* text) {
  in_addr v4;
  ::inet_pton(AF_INET, text, &v4);
  return {reinterpret_cast<const char*>(&v4), sizeof v4};
}

std::string tuple(uint16_t type, const char* from, const char* to, uint16_t port) {
  const uint16_t bytes = htons(port);
  const std::string ip = attribute(CTA_IP_V4_SRC, address_bytes(from)) + attribute(CTA_IP_V4_DST, address_bytes(to));
  const std::string proto = attribute(CTA_PROTO_NUM, std::string(1, IPPROTO_UDP)) +
                            attribute(CTA_PROTO_DST_PORT, {reinterpret_cast<const char*>(&bytes), sizeof bytes});
  return attribute(type | NLA_F_NESTED, attribute(CTA_TUPLE_IP | NLA_F_NESTED, ip) + attribute(CTA_TUPLE_PROTO | NLA_F_NESTED, proto));
}

std::string connection(const char* from, const char* to, uint16_t port, const char* answers_from, bool answered) {
  const uint32_t status = htonl(answered ? IPS_SEEN_REPLY : 0);
  return tuple(CTA_TUPLE_ORIG, from, to, port) + tuple(CTA_TUPLE_REPLY, answers_from, from, 1) +
         attribute(CTA_STATUS, {reinterpret_cast<const char*>(&status), sizeof status});
}

TEST(FlowsTest, ThoseOfAContainerAndThoseThatCameBeforeIt) {
  Endpoint web = member("web", "10.1.0.2");
  web.ports = {{"", 53, 5353, "udp"}, {"192.0.2.1", 514, 514, "udp"}, {"", 80, 80, "tcp"}};
  const struct {
    const char* why;
    std::string bytes;
    bool of, astray;
  } cases[] = {
      {"led into it", connection("192.0.2.9", "192.0.2.1", 53, "10.1.0.2", true), true, false},
      {"its own", connection("10.1.0.2", "192.0.2.1", 53, "192.0.2.1", true), true, false},
      {"led into one before it", connection("192.0.2.9", "192.0.2.1", 53, "10.1.0.3", true), false, true},
      {"came while nobody was there", connection("192.0.2.9", "192.0.2.1", 53, "192.0.2.1", false), false, true},
      {"the host's own question", connection("192.0.2.1", "192.0.2.8", 53, "192.0.2.8", true), false, false},
      {"another port", connection("192.0.2.9", "192.0.2.1", 54, "192.0.2.1", false), false, false},
      {"a port of TCP alone", connection("192.0.2.9", "192.0.2.1", 80, "192.0.2.1", false), false, false},
      {"the address of the port", connection("192.0.2.9", "192.0.2.1", 514, "192.0.2.1", false), false, true},
      {"another address than the port's", connection("192.0.2.9", "192.0.2.2", 514, "192.0.2.2", false), false, false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.why);
    const Flow flow = read_flow(c.bytes);
    EXPECT_EQ(flow.protocol, IPPROTO_UDP);
    EXPECT_EQ(is_of(flow, web), c.of);
    EXPECT_EQ(is_astray(flow, web), c.astray);
    // Cut anywhere it says less, and nothing else.
    for (size_t size = 0; size < c.bytes.size(); ++size) {
      const Flow cut = read_flow(std::string_view(c.bytes).substr(0, size));
      for (const auto text : {&Flow::from, &Flow::to, &Flow::answers_from, &Flow::answers_to})
        EXPECT_TRUE((cut.*text).empty() || cut.*text == flow.*text) << size;
      EXPECT_TRUE(cut.port == 0 || cut.port == flow.port) << size;
      EXPECT_TRUE(cut.protocol == 0 || cut.protocol == flow.protocol) << size;
      EXPECT_FALSE(is_of(cut, member("none", "10.9.9.9")));
    }
  }
  EXPECT_FALSE(is_of(read_flow(""), Endpoint{}));
}

}  // namespace
}  // namespace kist::networks
