package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"go.etcd.io/etcd/etcdserver/etcdserverpb"
	"google.golang.org/grpc"
)

const (
	attemptInterval  = 5 * time.Millisecond
	attemptsUnderWay = 16
	attemptTimeout   = 2 * time.Second
)

// Waits until each endpoint has answered a put (or get), and tells when it first did. A line says
// that the attempts have begun, so that servers can be started only then.
//
// Every attempt has a connection of its own: one that waits before it dials again, as gRPC's do,
// would measure that wait. They overlap, since a request made before there is a leader may be held.
func runFirst(work *job) (*result, error) {
	if work.Probe != "put" && work.Probe != "get" {
		return nil, errors.New("a probe is a put or a get")
	}
	print(map[string]bool{"begun": true})
	done := &result{FirstNs: make([]int64, len(work.Endpoints))}
	var endpoints sync.WaitGroup
	for i, endpoint := range work.Endpoints {
		endpoints.Add(1)
		go func(i int, endpoint string) {
			defer endpoints.Done()
			done.FirstNs[i] = firstAnswer(endpoint, work.Probe)
		}(i, endpoint)
	}
	endpoints.Wait()
	return done, nil
}

func firstAnswer(endpoint, probe string) int64 {
	answered := make(chan int64, 1)
	slots := make(chan struct{}, attemptsUnderWay)
	ticks := time.NewTicker(attemptInterval)
	defer ticks.Stop()
	for {
		select {
		case moment := <-answered:
			return moment
		case <-ticks.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			continue
		}
		go func() {
			defer func() { <-slots }()
			if attempt(endpoint, probe) != nil {
				return
			}
			select {
			case answered <- time.Now().UnixNano():
			default:
			}
		}()
	}
}

func attempt(endpoint, probe string) error {
	bound, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	socket, err := (&net.Dialer{}).DialContext(bound, "tcp", endpoint)
	if err != nil {
		return err
	}
	defer socket.Close()
	connection, err := grpc.DialContext(bound, endpoint, grpc.WithInsecure(), grpc.WithBlock(),
		grpc.FailOnNonTempDialError(true), grpc.WithContextDialer(once(socket)))
	if err != nil {
		return err
	}
	defer connection.Close()
	kv := etcdserverpb.NewKVClient(connection)
	if probe == "get" {
		_, err = kv.Range(bound, &etcdserverpb.RangeRequest{Key: []byte("first")})
	} else {
		_, err = kv.Put(bound, &etcdserverpb.PutRequest{Key: []byte("first"), Value: []byte("1")})
	}
	return err
}

// Hands out the socket once: a second connection would be another attempt.
func once(socket net.Conn) func(context.Context, string) (net.Conn, error) {
	used := false
	return func(context.Context, string) (net.Conn, error) {
		if used {
			return nil, errors.New("this connection has ended")
		}
		used = true
		return socket, nil
	}
}
