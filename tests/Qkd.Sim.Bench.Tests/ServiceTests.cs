using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Shouldly;

namespace Qkd.Sim.Bench.Tests;

public sealed class ServiceTests
{
    [Fact]
    public async Task The_bench_is_up_before_other_services_and_down_after_them()
    {
        var folder = Directory.CreateTempSubdirectory("bench").FullName;
        try
        {
            var node = new Node(Path.Combine(folder, "instruments.json"));
            var builder = Host.CreateEmptyApplicationBuilder(null);
            builder.Services.AddSingleton<IHostedService>(node);
            builder.Services.AddEmulatedBench(TestBench.Small, folder);
            using var host = builder.Build();
            await host.StartAsync(Waits.Token);
            host.Services.GetRequiredService<EmulatedBench>().Instruments.Count.ShouldBe(5);
            await host.StopAsync(Waits.Token);
            node.SawAtStart.ShouldBeTrue();
            node.SawAtStop.ShouldBeTrue();
            File.Exists(node.AddressBook).ShouldBeFalse();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private sealed class Node(string addressBook) : IHostedService
    {
        public string AddressBook => addressBook;

        public bool SawAtStart { get; private set; }

        public bool SawAtStop { get; private set; }

        public Task StartAsync(CancellationToken cancellationToken)
        {
            SawAtStart = File.Exists(addressBook);
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken)
        {
            SawAtStop = File.Exists(addressBook);
            return Task.CompletedTask;
        }
    }
}
