using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>
/// Finds four consecutive free TCP ports. They are only proposed to the host, which asks for them later, so they are taken from below the
/// range from which operating systems hand out ports by themselves, and never proposed twice in one process.
/// </summary>
internal static class StreamPorts
{
    public const int Count = 4;

    private const int Lowest = 20_000;
    private const int Highest = 32_000;
    private const int Attempts = 200;

    private static readonly Lock Gate = new();
    private static readonly HashSet<int> Proposed = [];

    /// <exception cref="IOException">No free ports were found.</exception>
    public static int Reserve(IPAddress address)
    {
        lock (Gate)
        {
            for (var attempt = 0; attempt < Attempts; attempt++)
            {
                var first = RandomNumberGenerator.GetInt32(Lowest, Highest - Count);
                var ports = Enumerable.Range(first, Count).ToArray();
                if (!ports.Any(Proposed.Contains) && ports.All(port => IsFree(address, port)))
                {
                    Proposed.UnionWith(ports);
                    return first;
                }
            }
        }

        throw new IOException($"No {Count} consecutive free TCP ports were found on {address} between {Lowest} and {Highest}.");
    }

    /// <summary>Allows ports to be proposed again.</summary>
    public static void Release(int first)
    {
        lock (Gate)
        {
            Proposed.ExceptWith(Enumerable.Range(first, Count));
        }
    }

    private static bool IsFree(IPAddress address, int port)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
