using System.Reflection;
using Qkd.Distillation;
using Qkd.Link.Replay;
using Shouldly;

namespace Qkd.Link.Tests.Recording;

/// <summary>A replay never holds a key that a store would take: neither in what it tells nor anywhere within.</summary>
public sealed class UndeliverableTests
{
    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Type[] Forbidden = [typeof(SecretKey), typeof(AuthenticationKeyMaterial), typeof(AuthenticatedTranscript), typeof(IBlockSink)];

    [Fact]
    public void No_part_of_a_replay_touches_a_secret_key_a_sink_or_the_proof_that_releases_a_key()
    {
        var parts = typeof(SessionReplay).Assembly.GetTypes().Where(type => type.Namespace == typeof(SessionReplay).Namespace).ToList();
        parts.Count.ShouldBeGreaterThan(5);
        foreach (var part in parts)
        {
            foreach (var touched in Touched(part))
            {
                Mentioned(touched).Intersect(Forbidden).ShouldBeEmpty(part.ToString());
            }
        }

        // The same look at a session, which does deliver, finds them.
        Touched(typeof(Link.Session.AliceSession)).Concat(typeof(Link.Session.AliceSession).GetNestedTypes(Everything).SelectMany(Touched))
            .SelectMany(Mentioned).ShouldContain(typeof(SecretKey));
    }

    [Fact]
    public void A_store_takes_secret_keys_and_nothing_that_a_replay_gives()
    {
        typeof(IBlockSink).GetMethods().ShouldHaveSingleItem().GetParameters()[0].ParameterType.ShouldBe(typeof(SecretKey));
        typeof(SecretKey).IsAssignableFrom(typeof(ReplayedKey)).ShouldBeFalse();
        typeof(ReplayedBlock).GetProperties().Where(property => property.PropertyType == typeof(ReplayedKey)).ShouldHaveSingleItem();
        typeof(ReplayedBlock).GetProperties().ShouldAllBe(property => !property.PropertyType.IsArray && !property.PropertyType.Name.Contains("Memory"));
    }

    private static IEnumerable<Type> Touched(Type type)
    {
        foreach (var field in type.GetFields(Everything))
        {
            yield return field.FieldType;
        }

        foreach (var method in type.GetMethods(Everything).Cast<MethodBase>().Concat(type.GetConstructors(Everything)))
        {
            if (method is MethodInfo { ReturnType: var returned })
            {
                yield return returned;
            }

            foreach (var parameter in method.GetParameters())
            {
                yield return parameter.ParameterType;
            }

            foreach (var local in method.GetMethodBody()?.LocalVariables ?? [])
            {
                yield return local.LocalType;
            }
        }
    }

    private static IEnumerable<Type> Mentioned(Type type) =>
        type.HasElementType ? Mentioned(type.GetElementType()!) : type.IsGenericType ? type.GetGenericArguments().SelectMany(Mentioned).Append(type) : [type];
}
