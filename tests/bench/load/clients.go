package main

import (
	"context"
	"fmt"
	"math/rand"
	"time"

	"go.etcd.io/etcd/clientv3"
	"google.golang.org/grpc"
)

const (
	keyPrefix        = "k"
	afterAllKeys     = "l"
	connectTimeout   = 20 * time.Second
	operationTimeout = 10 * time.Second
)

// Opens `count` connections, each to one endpoint, in turn.
func connect(endpoints []string, count int) ([]*clientv3.Client, error) {
	clients := make([]*clientv3.Client, count)
	for i := range clients {
		endpoint := endpoints[i%len(endpoints)]
		client, err := clientv3.New(clientv3.Config{
			Endpoints:   []string{endpoint},
			DialTimeout: connectTimeout,
			DialOptions: []grpc.DialOption{grpc.WithBlock()},
		})
		if err != nil {
			disconnect(clients[:i])
			return nil, fmt.Errorf("cannot connect to %s: %v", endpoint, err)
		}
		clients[i] = client
	}
	return clients, nil
}

func disconnect(clients []*clientv3.Client) {
	for _, client := range clients {
		client.Close()
	}
}

// The key of this number: 16 bytes, in the order of the numbers.
func keyOf(number int64) string { return fmt.Sprintf(keyPrefix+"%015d", number) }

// One for each worker, so that none waits for another's.
func randomOf(worker int) *rand.Rand {
	return rand.New(rand.NewSource(time.Now().UnixNano() ^ int64(worker+1)<<40))
}

// Bytes that neither repeat nor compress, as a server must not gain by them.
func valueOf(random *rand.Rand, size int) string {
	bytes := make([]byte, size)
	random.Read(bytes)
	return string(bytes)
}

func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), operationTimeout)
}
