using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Qkd.Node.Nodes;

namespace Qkd.Web.Hosting;

/// <summary>The status page's figures as JSON, names in snake_case.</summary>
internal static class StatusJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>All nodes of this process.</summary>
    public static IResult From(NodesService nodes) =>
        Results.Json(new { nodes = nodes.Nodes.Select(node => node.Monitor.Snapshot()) }, Options);
}
