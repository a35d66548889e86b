// Command server is a peer of the bridge's xDS server: go-control-plane over one of its two caches, filled with
// made-up services, and a control port on which a benchmark asks for one change at a time.
//
// It prints "ready" on standard output once both ports listen, and answers on the control port
//
//	set SERVICE VALUE\n  →  ok STAMP\n
//
// where STAMP is CLOCK_MONOTONIC in nanoseconds at the moment when the new resource was handed to the cache, and the
// answer is written when the cache's update call has returned.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	eds "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cache "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const node = "bench"

func name(service int) string { return fmt.Sprintf("bench/s%05d", service) }

// assignment is the strict form that the bridge serves too: a locality with the sum of its weights, addresses sorted.
// The first endpoint's port is the value that changes.
func assignment(service, endpoints, value int) *endpoint.ClusterLoadAssignment {
	lbs := make([]*endpoint.LbEndpoint, endpoints)
	for i := range lbs {
		port := 8080
		if i == 0 {
			port = value
		}
		lbs[i] = &endpoint.LbEndpoint{
			HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{
				Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
					Address:       fmt.Sprintf("10.%d.%d.%d", 100+service%100, 100+i/100, 100+i%100),
					PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
				}}},
			}},
			HealthStatus:        core.HealthStatus_HEALTHY,
			LoadBalancingWeight: wrapperspb.UInt32(1),
		}
	}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: name(service),
		Endpoints: []*endpoint.LocalityLbEndpoints{{
			Locality:            &core.Locality{},
			LbEndpoints:         lbs,
			LoadBalancingWeight: wrapperspb.UInt32(uint32(endpoints)),
		}},
	}
}

// backend is a filled cache and the call that changes one service in it.
type backend struct {
	cache  cache.Cache
	update func(service int, to types.Resource) error
}

func linear(resources []types.Resource) backend {
	all := make(map[string]types.Resource, len(resources))
	for i, r := range resources {
		all[name(i)] = r
	}
	c := cache.NewLinearCache(resource.EndpointType, cache.WithInitialResources(all))
	return backend{c, func(service int, to types.Resource) error { return c.UpdateResource(name(service), to) }}
}

func snapshot(resources []types.Resource) (backend, error) {
	c := cache.NewSnapshotCache(false, cache.IDHash{}, nil)
	version := 0
	set := func() error {
		version++
		s, err := cache.NewSnapshot(strconv.Itoa(version), map[resource.Type][]types.Resource{resource.EndpointType: resources})
		if err != nil {
			return err
		}
		return c.SetSnapshot(context.Background(), node, s)
	}
	return backend{c, func(service int, to types.Resource) error {
		resources[service] = to
		return set()
	}}, set()
}

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		log.Fatal(err)
	}
	return ts.Nano()
}

func control(conn net.Conn, b backend, endpoints int) {
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var service, value int
		if _, err := fmt.Sscanf(lines.Text(), "set %d %d", &service, &value); err != nil {
			fmt.Fprintf(conn, "error %q: expected set SERVICE VALUE\n", lines.Text())
			continue
		}
		to := assignment(service, endpoints, value)
		at := monotonic()
		if err := b.update(service, to); err != nil {
			fmt.Fprintf(conn, "error %v\n", err)
			continue
		}
		fmt.Fprintf(conn, "ok %d\n", at)
	}
}

func main() {
	kind := flag.String("cache", "linear", "linear or snapshot")
	services := flag.Int("services", 10000, "number of services")
	endpoints := flag.Int("endpoints", 10, "endpoints of each")
	xdsAddress := flag.String("xds", "127.0.0.1:20100", "where to serve xDS")
	controlAddress := flag.String("control", "127.0.0.1:20101", "where to take changes")
	flag.Parse()

	resources := make([]types.Resource, *services)
	for i := range resources {
		resources[i] = assignment(i, *endpoints, 8080)
	}
	var b backend
	var err error
	switch *kind {
	case "linear":
		b = linear(resources)
	case "snapshot":
		b, err = snapshot(resources)
	default:
		err = fmt.Errorf("-cache %q: there is linear and snapshot", *kind)
	}
	if err != nil {
		log.Fatal(err)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	served, err := net.Listen("tcp", *xdsAddress)
	if err != nil {
		log.Fatal(err)
	}
	controlled, err := net.Listen("tcp", *controlAddress)
	if err != nil {
		log.Fatal(err)
	}
	s := grpc.NewServer(
		grpc.MaxConcurrentStreams(1_000_000),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	x := xds.NewServer(ctx, b.cache, nil)
	discovery.RegisterAggregatedDiscoveryServiceServer(s, x)
	eds.RegisterEndpointDiscoveryServiceServer(s, x)
	go func() {
		if err := s.Serve(served); err != nil {
			log.Fatal(err)
		}
	}()
	go func() {
		for {
			conn, err := controlled.Accept()
			if err != nil {
				return
			}
			go control(conn, b, *endpoints)
		}
	}()
	fmt.Println("ready")
	<-ctx.Done()
}
