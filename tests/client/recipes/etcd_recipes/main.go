// One participant of a recipe, by etcd's own client library. What it does, it says as the programs of
// client/examples do; what it holds, it holds until its input ends.
//
//	etcd_recipes ENDPOINTS mutex NAME
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	"go.etcd.io/etcd/clientv3/naming/endpoints"
	recipe "go.etcd.io/etcd/contrib/recipes"
)

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func waitForEndOfInput() {
	_, err := io.Copy(io.Discard, bufio.NewReader(os.Stdin))
	check(err)
}

func holdMutex(session *concurrency.Session, args []string) {
	mutex := concurrency.NewMutex(session, args[0])
	check(mutex.Lock(ctx))
	fmt.Println("held", mutex.Key())
	waitForEndOfInput()
	check(mutex.Unlock(ctx))
	fmt.Println("unlocked")
}

func campaign(session *concurrency.Session, args []string) {
	election := concurrency.NewElection(session, args[0])
	check(election.Campaign(ctx, args[1]))
	fmt.Println("leading", election.Rev())
	waitForEndOfInput()
	check(election.Resign(ctx))
	fmt.Println("resigned")
}

func observe(session *concurrency.Session, args []string) {
	for response := range concurrency.NewElection(session, args[0]).Observe(ctx) {
		fmt.Println("leader", string(response.Kvs[0].Value))
	}
}

func holdRWMutex(session *concurrency.Session, args []string) {
	mutex := recipe.NewRWMutex(session, args[0])
	if args[1] == "write" {
		check(mutex.Lock())
	} else {
		check(mutex.RLock())
	}
	fmt.Println("held")
	waitForEndOfInput()
	check(mutex.Unlock()) // RUnlock is the same.
	fmt.Println("unlocked")
}

func barrier(session *concurrency.Session, args []string) {
	barrier := recipe.NewBarrier(session.Client(), args[0])
	if args[1] == "wait" {
		check(barrier.Wait())
		fmt.Println("passed")
		return
	}
	check(barrier.Hold())
	fmt.Println("holding")
	waitForEndOfInput()
	check(barrier.Release())
	fmt.Println("released")
}

func doubleBarrier(session *concurrency.Session, args []string) {
	count, err := strconv.Atoi(args[1])
	check(err)
	barrier := recipe.NewDoubleBarrier(session, args[0], count)
	check(barrier.Enter())
	fmt.Println("in")
	waitForEndOfInput()
	check(barrier.Leave())
	fmt.Println("out")
}

func queue(session *concurrency.Session, args []string) {
	queue := recipe.NewQueue(session.Client(), args[0])
	for _, value := range args[2:] {
		check(queue.Enqueue(value))
		fmt.Println("put", value)
	}
	for args[1] == "take" {
		value, err := queue.Dequeue()
		check(err)
		fmt.Println("took", value)
	}
}

func registry(session *concurrency.Session, args []string) {
	manager, err := endpoints.NewManager(session.Client(), args[0])
	check(err)
	if args[1] == "list" {
		list, err := manager.List(ctx)
		check(err)
		for key, endpoint := range list {
			fmt.Println(key, endpoint.Addr, endpoint.Metadata)
		}
		return
	}
	check(manager.AddEndpoint(ctx, args[0]+"/"+args[2],
		endpoints.Endpoint{Addr: args[3], Metadata: map[string]string{"zone": "a"}},
		clientv3.WithLease(session.Lease())))
	fmt.Println("registered")
	waitForEndOfInput()
	check(manager.DeleteEndpoint(ctx, args[0]+"/"+args[2]))
	fmt.Println("unregistered")
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(os.Args[1], ",")})
	check(err)
	session, err := concurrency.NewSession(client, concurrency.WithTTL(3))
	check(err)
	run := map[string]func(*concurrency.Session, []string){
		"mutex": holdMutex, "campaign": campaign, "observe": observe, "rw_lock": holdRWMutex,
		"barrier": barrier, "double_barrier": doubleBarrier, "queue": queue, "registry": registry,
	}[os.Args[2]]
	run(session, os.Args[3:])
	check(session.Close())
}
