package main

import (
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const endpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

func method(service string, delta bool) string {
	switch {
	case service == "eds" && delta:
		return "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints"
	case service == "eds":
		return "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints"
	case delta:
		return "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	default:
		return "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
	}
}

// raw hands messages over as bytes: the client reads little of them, and should cost little.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	data, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// questions are the requests of one stream.
type questions struct {
	delta bool
	names []string
}

func asking(delta bool, names []string) questions { return questions{delta, names} }

func (q questions) first() proto.Message {
	node := &core.Node{Id: "bench", Cluster: "bench"}
	if q.delta {
		return &discovery.DeltaDiscoveryRequest{Node: node, TypeUrl: endpointType, ResourceNamesSubscribe: q.names}
	}
	return &discovery.DiscoveryRequest{Node: node, TypeUrl: endpointType, ResourceNames: q.names}
}

func (q questions) acknowledge(version, nonce string) proto.Message {
	if q.delta {
		return &discovery.DeltaDiscoveryRequest{TypeUrl: endpointType, ResponseNonce: nonce}
	}
	return &discovery.DiscoveryRequest{
		TypeUrl: endpointType, ResourceNames: q.names, VersionInfo: version, ResponseNonce: nonce,
	}
}

// assignment is what the client reads of a resource: its name and the port of its first endpoint.
type assignment struct {
	name string
	port uint64
}

type response struct {
	version, nonce string
	resources      []assignment
}

// fields calls each for every field of a message; value holds the bytes of a length-delimited one, number a varint.
func fields(message []byte, each func(field protowire.Number, value []byte, number uint64) error) error {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		var value []byte
		var number uint64
		switch kind {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(message)
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if err := each(field, value, number); err != nil {
			return err
		}
	}
	return nil
}

// first is the first field of that number, nil when there is none.
func first(message []byte, wanted protowire.Number) []byte {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if field == wanted && kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return nil
			}
			return value
		}
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}

func (r *response) parse(data []byte, delta bool) error {
	*r = response{resources: r.resources[:0]}
	return fields(data, func(field protowire.Number, value []byte, _ uint64) error {
		switch field {
		case 1:
			r.version = string(value)
		case 2:
			held := value // an Any
			if delta {
				held = first(value, 2)
			}
			r.resources = append(r.resources, read(first(held, 2)))
		case 5:
			r.nonce = string(value)
		case 6:
			if delta {
				return fmt.Errorf("the server removed %s", value)
			}
		}
		return nil
	})
}

// read finds ClusterLoadAssignment.cluster_name and endpoints[0].lb_endpoints[0].endpoint.address.socket_address.
func read(body []byte) assignment {
	a := assignment{name: string(first(body, 1))}
	socket := first(first(first(first(first(body, 2), 2), 1), 1), 1)
	for len(socket) > 0 {
		field, kind, n := protowire.ConsumeTag(socket)
		if n < 0 {
			return a
		}
		socket = socket[n:]
		if field == 3 && kind == protowire.VarintType {
			a.port, _ = protowire.ConsumeVarint(socket)
			return a
		}
		if n = protowire.ConsumeFieldValue(field, kind, socket); n < 0 {
			return a
		}
		socket = socket[n:]
	}
	return a
}
