using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using NSubstitute;
using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link;
using Qkd.Link.Session;
using Qkd.Link.Wire;
using Qkd.Node.Configuration;
using Qkd.Node.Keys;
using Qkd.Node.Nodes;

namespace Qkd.Node.Tests.Support;

/// <summary>Bob as far as the door and the handshake: with the true key, and instruments that do nothing.</summary>
internal static class Caller
{
    /// <summary>Connects, waits to be welcome, greets, and stays until the session ends or he is told to go. <paramref name="welcomed"/> completes when Alice is ready.</summary>
    public static async Task RunAsync(
        IPEndPoint endpoint, NodeKeys keys, ProtocolOptions protocol, CancellationToken cancellationToken, TaskCompletionSource? welcomed = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(endpoint, cancellationToken);
        await using var connection = LinkConnection.FromSocket(socket, TimeProvider.System);
        var tagger = Substitute.For<ITimeTagger>();
        tagger.ReadTagsAsync(default!, default).ReturnsForAnyArgs(call => Silence(call.Arg<CancellationToken>()));
        var polarization = Substitute.For<IPolarizationKeeper>();
        polarization.RunAsync(default!, default).ReturnsForAnyArgs(call => Task.Delay(Timeout.Infinite, call.Arg<CancellationToken>()));
        using var session = new BobSession(connection, 1, new BobSessionParts
        {
            Agreement = Agreement.From(protocol with { IntensityProbabilities = [0.5, 0.3125, 0.1875] }),
            Grade = KeyGrade.Laboratory,
            Tagger = tagger,
            Stream = new TagStreamRequest { Channels = [1] },
            NewReceiver = static _ => null!,
            Polarization = polarization,
            Key = keys.Authentication,
            Sink = keys,
            Monitor = Substitute.For<ILinkMonitor>(),
            Handler = keys,
            Reconciler = new CascadeReconciler(),
        });
        try
        {
            await LinkCaller.AwaitWelcomeAsync(connection, cancellationToken);
            welcomed?.SetResult();
            await session.RunAsync(cancellationToken);
        }
        catch (Exception e) when (e is LinkException or OperationCanceledException)
        {
            // That is how it ends.
        }
    }

    private static async IAsyncEnumerable<TagBatch> Silence([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Delay(Timeout.Infinite, cancellationToken);
        yield break;
    }
}
