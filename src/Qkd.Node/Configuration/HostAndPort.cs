using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Qkd.Node.Configuration;

/// <summary>A host and a TCP port, written <c>host:port</c> or <c>[::1]:port</c>.</summary>
public readonly record struct HostAndPort(string Host, int Port)
{
    /// <summary>Reads one; false if it is not of that form. Port 0 is any free one, where it is listened at.</summary>
    public static bool TryParse(string? text, out HostAndPort endpoint)
    {
        endpoint = default;
        var colon = text?.LastIndexOf(':') ?? -1;
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > 65535)
        {
            return false;
        }

        var host = text!.AsSpan(0, colon);
        if (host is ['[', .., ']'])
        {
            host = host[1..^1];
            if (!IPAddress.TryParse(host, out var address) || address.AddressFamily != AddressFamily.InterNetworkV6)
            {
                return false;
            }
        }
        else if (Uri.CheckHostName(host.ToString()) is not (UriHostNameType.Dns or UriHostNameType.IPv4))
        {
            return false;
        }

        endpoint = new(host.ToString(), port);
        return true;
    }

    /// <summary>Reads one that has been validated.</summary>
    /// <exception cref="FormatException">Not of that form.</exception>
    public static HostAndPort Parse(string text) =>
        TryParse(text, out var endpoint) ? endpoint : throw new FormatException($"'{text}' is not host:port");

    /// <summary>The address to listen at.</summary>
    public async ValueTask<IPEndPoint> ResolveAsync(CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(Host, out var address))
        {
            return new(address, Port);
        }

        var addresses = await Dns.GetHostAddressesAsync(Host, cancellationToken);
        return new(addresses.FirstOrDefault(a => a.AddressFamily == AddressFamily.InterNetwork) ?? addresses[0], Port);
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}");
}
