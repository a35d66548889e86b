// Command client measures an xDS server from outside, the same way whichever server it is.
//
// It opens streams that subscribe to endpoint assignments, waits until every name was answered, then asks the server
// on its control port for one change at a time and times the response at each subscriber of the changed name. Every
// response is acknowledged, and all of them are counted: those that nobody needed too. The result is one JSON object
// on standard output; times are in milliseconds.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
)

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		log.Fatal(err)
	}
	return ts.Nano()
}

// change is what the subscribers are waiting for at the moment.
type change struct {
	name  string
	value uint64
}

type load struct {
	delta     bool
	method    string
	awaited   atomic.Pointer[change]
	hits      chan int64   // when a subscriber received the awaited change
	synced    chan int     // a stream that has every name it asked for
	responses atomic.Int64 // every response of every stream
	resources atomic.Int64
	bytes     atomic.Int64
}

// run subscribes to names and acknowledges what comes, until the stream ends.
func (l *load) run(ctx context.Context, conn *grpc.ClientConn, id int, names []string) error {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, l.method, grpc.ForceCodecV2(raw{}))
	if err != nil {
		return err
	}
	ask := asking(l.delta, names)
	if err := stream.SendMsg(ask.first()); err != nil {
		return err
	}
	missing := make(map[string]bool, len(names))
	for _, n := range names {
		missing[n] = true
	}
	var got response
	for {
		var data []byte
		if err := stream.RecvMsg(&data); err != nil {
			return err
		}
		at := monotonic()
		if err := got.parse(data, l.delta); err != nil {
			return err
		}
		awaited := l.awaited.Load()
		for _, r := range got.resources {
			if awaited != nil && r.name == awaited.name && r.port == awaited.value {
				l.hits <- at
			}
			if missing != nil {
				delete(missing, r.name)
			}
		}
		l.responses.Add(1)
		l.resources.Add(int64(len(got.resources)))
		l.bytes.Add(int64(len(data)))
		if missing != nil && len(missing) == 0 {
			missing = nil
			l.synced <- id
		}
		if err := stream.SendMsg(ask.acknowledge(got.version, got.nonce)); err != nil {
			return err
		}
	}
}

// process reads what the kernel knows of the server: CPU seconds used, resident bytes.
func process(pid int) (cpu float64, rss int64) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	return (user + system) / 100, pages * int64(os.Getpagesize())
}

type spread struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Size int     `json:"n"`
}

func spreadOf(nanoseconds []int64) spread {
	if len(nanoseconds) == 0 {
		return spread{}
	}
	slices.Sort(nanoseconds)
	at := func(q float64) float64 { return float64(nanoseconds[int(q*float64(len(nanoseconds)-1)+0.5)]) / 1e6 }
	return spread{at(0.50), at(0.99), at(1), len(nanoseconds)}
}

type result struct {
	Sync      float64 `json:"sync_ms"`
	SyncBytes int64   `json:"sync_bytes"`
	RSS       int64   `json:"rss_bytes"`
	Latency   spread  `json:"latency_ms"`   // from the change's being handed over to each subscriber
	RoundTrip spread  `json:"roundtrip_ms"` // from the client's writing of the command to each subscriber
	Last      spread  `json:"last_ms"`      // from there to the last subscriber, one a change
	Changes   int     `json:"changes"`
	Responses int64   `json:"responses"`
	Needless  int64   `json:"needless"`
	Bytes     int64   `json:"bytes"`
	CPU       float64 `json:"server_cpu_ms_per_change"`
}

func main() {
	xds := flag.String("xds", "127.0.0.1:20100", "the server under test")
	control := flag.String("control", "127.0.0.1:20101", "its control port")
	pid := flag.Int("pid", 0, "its process, for CPU and memory")
	services := flag.Int("services", 10000, "services that it has")
	streams := flag.Int("streams", 200, "streams to open")
	names := flag.Int("names", 50, "names each stream asks for: consecutive ones, from where the last stream ended")
	conns := flag.Int("conns", 0, "connections that carry the streams; 0: one each, as with Envoys")
	changes := flag.Int("changes", 2000, "changes to ask for, one at a time")
	gap := flag.Duration("gap", time.Millisecond, "quiet time between a change's last response and the next change")
	delta := flag.Bool("delta", false, "the delta protocol instead of the state of the world")
	service := flag.String("service", "ads", "ads or eds: the gRPC service to ask")
	patience := flag.Duration("patience", time.Minute, "how long to wait for one thing")
	flag.Parse()
	if *conns == 0 {
		*conns = *streams
	}

	l := &load{delta: *delta, method: method(*service, *delta), hits: make(chan int64, *streams), synced: make(chan int, *streams)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	connections := make([]*grpc.ClientConn, *conns)
	for i := range connections {
		c, err := grpc.NewClient("passthrough:///"+*xds, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
		if err != nil {
			log.Fatal(err)
		}
		c.Connect()
		connections[i] = c
	}
	waiting, enough := context.WithTimeout(ctx, *patience)
	for _, c := range connections {
		for state := c.GetState(); state != connectivity.Ready; state = c.GetState() {
			if !c.WaitForStateChange(waiting, state) {
				log.Fatalf("%s: not connected within %s: %s", *xds, *patience, state)
			}
		}
	}
	enough()

	subscribers := make(map[int]int, *services) // service → streams that asked for it
	begun := monotonic()
	var once sync.Once
	for s := range *streams {
		asked := make([]string, *names)
		for n := range asked {
			i := (s**names + n) % *services
			asked[n] = fmt.Sprintf("bench/s%05d", i)
			subscribers[i]++
		}
		go func() {
			if err := l.run(ctx, connections[s%*conns], s, asked); err != nil && ctx.Err() == nil {
				once.Do(func() { log.Fatalf("stream %d: %v", s, err) })
			}
		}()
	}
	late := time.After(*patience)
	for done := range *streams {
		select {
		case <-l.synced:
		case <-late:
			log.Fatalf("only %d of %d streams were answered within %s", done, *streams, *patience)
		}
	}
	out := result{Sync: float64(monotonic()-begun) / 1e6, SyncBytes: l.bytes.Load(), Changes: *changes}
	time.Sleep(300 * time.Millisecond) // the last acknowledgements

	conn, err := net.Dial("tcp", *control)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	before, _ := process(*pid)
	responses, bytes := l.responses.Load(), l.bytes.Load()
	var latency, roundtrip, last []int64
	needed := int64(0)
	choose := rand.New(rand.NewSource(1)) // the same services in the same order for every server
	for n := range *changes {
		i := choose.Intn(min(*services, *streams**names))
		value := 10000 + n%40000
		l.awaited.Store(&change{fmt.Sprintf("bench/s%05d", i), uint64(value)})
		sent := monotonic()
		if _, err := fmt.Fprintf(conn, "set %d %d\n", i, value); err != nil {
			log.Fatal(err)
		}
		received := make([]int64, 0, subscribers[i])
		late := time.After(*patience)
		for len(received) < subscribers[i] {
			select {
			case at := <-l.hits:
				received = append(received, at)
			case <-late:
				log.Fatalf("change %d reached only %d of %d subscribers within %s", n, len(received), subscribers[i], *patience)
			}
		}
		answer, err := answers.ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		var stamp int64
		if _, err := fmt.Sscanf(answer, "ok %d", &stamp); err != nil {
			log.Fatalf("control port: %s", answer)
		}
		for _, at := range received {
			latency = append(latency, at-stamp)
			roundtrip = append(roundtrip, at-sent)
		}
		last = append(last, slices.Max(received)-stamp)
		needed += int64(len(received))
		time.Sleep(*gap)
	}
	time.Sleep(300 * time.Millisecond) // what comes late was sent too
	after, rss := process(*pid)
	out.RSS = rss
	out.Latency, out.RoundTrip, out.Last = spreadOf(latency), spreadOf(roundtrip), spreadOf(last)
	out.Responses, out.Bytes = l.responses.Load()-responses, l.bytes.Load()-bytes
	out.Needless = out.Responses - needed
	if *changes > 0 {
		out.CPU = (after - before) * 1e3 / float64(*changes)
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		log.Fatal(err)
	}
	os.Exit(0) // the streams end with the process, and have no more to say
}
